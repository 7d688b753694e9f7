/* assets.h - files that are part of the library, or, while developing, of a directory. */
#ifndef TTAP_SERVER_ASSETS_H
#define TTAP_SERVER_ASSETS_H

#include "server.h"

struct ttap__asset {
    const char *path; /* relative, as "page/task.js" */
    const char *mime;
    const char *etag; /* with its quotes; the first 128 bits of the content's SHA-256 */
    const unsigned char *bytes;
    size_t len;
    const unsigned char *gzip; /* NULL: none was made */
    size_t gzip_len;
};

/** Made by ttap_embed_assets(TARGET FOLDER SYMBOL): `extern const struct ttap__assets SYMBOL;` */
struct ttap__assets {
    const struct ttap__asset *items;
    size_t count;
};

/** Answer with the file of that very path ("" is index.html), 304 if the client has it, 404 if there is none. */
void ttap__assets_reply(struct ttap__request *req, const struct ttap__assets *assets, const char *path);
/** The same from a directory as it is now. Regular files below it, reached without symbolic links, at most 8 MiB. */
void ttap__assets_reply_from(struct ttap__request *req, const char *directory, const char *path);

#endif
