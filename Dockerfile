# The example service with its endpoint, as an image:
#   docker build -t tracetap . && docker run --rm -p 127.0.0.1:6060:6060 tracetap
# Publish on 127.0.0.1 as above: the token is the only other guard.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY . .
# Installs what it needs, builds, and runs the tests that need no browser; a failing test fails the image.
RUN ./dev test --release
RUN cmake --install build/release --prefix /opt/tracetap \
    && cmake --install build/release --prefix /opt/tracetap --component examples \
    && rm -r /opt/tracetap/lib/*.a /opt/tracetap/lib/cmake /opt/tracetap/lib/pkgconfig

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libmicrohttpd12 libjansson4 libcurl4 libdw1 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home tracetap
COPY --from=build /opt/tracetap/bin /opt/tracetap/bin
COPY --from=build /opt/tracetap/lib /opt/tracetap/lib
COPY docker/entrypoint.sh /usr/local/bin/entrypoint.sh
ENV PATH=/opt/tracetap/bin:$PATH
USER tracetap
EXPOSE 6060
ENTRYPOINT ["entrypoint.sh"]
