# ttap_embed_assets(TARGET FOLDER SYMBOL): the files of a folder as `const struct ttap__assets SYMBOL` (assets.h) in a target.
#
# A small program strips comments and indentation (strip_assets.c), CMake reads and hashes, gzip (if there is one) compresses.
# Run with -P this is the generator itself. With TRACETAP_VIEWER off the table is empty.
if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(TTAP_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE} CACHE INTERNAL "")
  set(TTAP_EMBED_EXTENSIONS html js css svg png ico CACHE INTERNAL "What a viewer is made of; notes and settings beside it stay out")

  # Built by the build machine's own compiler without the project's flags: it must run here, whatever is being built and for whom.
  # Without such a compiler the sources are embedded as they are.
  set(TTAP_HOST_CC_CANDIDATES cc gcc clang)
  if(NOT CMAKE_CROSSCOMPILING)
    list(APPEND TTAP_HOST_CC_CANDIDATES ${CMAKE_C_COMPILER})
  endif()
  find_program(TTAP_HOST_CC NAMES ${TTAP_HOST_CC_CANDIDATES})
  set(TTAP_STRIP)
  if(TTAP_HOST_CC)
    set(TTAP_STRIP ${CMAKE_BINARY_DIR}/strip_assets)
    add_custom_command(OUTPUT ${TTAP_STRIP}
      COMMAND ${TTAP_HOST_CC} -std=gnu17 -Wall -O1 -o ${TTAP_STRIP} ${CMAKE_CURRENT_LIST_DIR}/strip_assets.c
      DEPENDS ${CMAKE_CURRENT_LIST_DIR}/strip_assets.c VERBATIM)
    add_custom_target(ttap_strip_assets DEPENDS ${TTAP_STRIP})
  endif()
  set(TTAP_STRIP ${TTAP_STRIP} CACHE INTERNAL "What strips the assets")

  function(ttap_embed_assets target folder symbol)
    set(files)
    if(TRACETAP_VIEWER)
      list(TRANSFORM TTAP_EMBED_EXTENSIONS REPLACE "(.+)" "${folder}/*.\\1" OUTPUT_VARIABLE patterns)
      file(GLOB_RECURSE files CONFIGURE_DEPENDS ${patterns})
    endif()
    set(out ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
    set(list ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.files)
    list(JOIN files "\n" lines)
    file(CONFIGURE OUTPUT ${list} CONTENT "${lines}" @ONLY)
    find_program(TTAP_GZIP gzip)
    add_custom_command(OUTPUT ${out}
      COMMAND ${CMAKE_COMMAND} -DFOLDER=${folder} -DLIST=${list} -DOUT=${out} -DSYMBOL=${symbol} -DGZIP=${TTAP_GZIP} -DSTRIP=${TTAP_STRIP}
              -P ${TTAP_EMBED_SCRIPT}
      DEPENDS ${files} ${list} ${TTAP_EMBED_SCRIPT} ${TTAP_STRIP} $<TARGET_NAME_IF_EXISTS:ttap_strip_assets>
      COMMENT "Embedding ${folder}" VERBATIM)
    target_sources(${target} PRIVATE ${out})
    target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/server)
  endfunction()
  return()
endif()

function(mime_of path out)
  cmake_path(GET path EXTENSION LAST_ONLY ending)
  set(html "text/html; charset=utf-8")
  set(js "text/javascript; charset=utf-8")
  set(css "text/css; charset=utf-8")
  set(svg "image/svg+xml")
  set(png "image/png")
  set(ico "image/x-icon")
  string(SUBSTRING "${ending}" 1 -1 ending)
  set(${out} "${${ending}}" PARENT_SCOPE)
endfunction()

# Sets @out to the file that is to be embedded for @file.
function(stripped file out)
  cmake_path(GET file EXTENSION LAST_ONLY ending)
  string(SUBSTRING "${ending}" 1 -1 language)
  set(${out} "${file}" PARENT_SCOPE)
  if(STRIP AND language MATCHES "^(js|css)$")
    execute_process(COMMAND ${STRIP} ${language} INPUT_FILE "${file}" OUTPUT_FILE "${OUT}.stripped" RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR "${STRIP} failed on ${file}")
    endif()
    set(${out} "${OUT}.stripped" PARENT_SCOPE)
  endif()
endfunction()

function(array_of file name)
  file(READ "${file}" hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," numbers "${hex}")
  file(APPEND "${OUT}" "static const unsigned char ${name}[] = {${numbers}0};\n") # the 0 keeps an empty file's array legal
endfunction()

file(STRINGS "${LIST}" files)
file(WRITE "${OUT}" "/* Generated from ${SYMBOL}.files by embed_assets.cmake. */\n#include \"assets.h\"\n\n")
set(rows)
set(number 0)
foreach(file IN LISTS files)
  file(RELATIVE_PATH path "${FOLDER}" "${file}")
  stripped("${file}" embedded)
  file(SHA256 "${embedded}" hash)
  string(SUBSTRING "${hash}" 0 32 hash)
  mime_of("${path}" mime)
  array_of("${embedded}" bytes_${number})
  set(gzip "NULL, 0")
  if(GZIP)
    execute_process(COMMAND ${GZIP} -9nc "${embedded}" OUTPUT_FILE "${OUT}.gz" RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR "${GZIP} failed on ${file}")
    endif()
    array_of("${OUT}.gz" gzip_${number})
    set(gzip "gzip_${number}, sizeof gzip_${number} - 1")
  endif()
  string(APPEND rows "    {\"${path}\", \"${mime}\", \"\\\"${hash}\\\"\", bytes_${number}, sizeof bytes_${number} - 1, ${gzip}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(APPEND "${OUT}" "static const struct ttap__asset items[] = {\n${rows}    {NULL, NULL, NULL, NULL, 0, NULL, 0},\n};\n"
     "extern const struct ttap__assets ${SYMBOL};\nconst struct ttap__assets ${SYMBOL} = {items, ${number}};\n")
file(REMOVE "${OUT}.gz" "${OUT}.stripped")
