/* token.h - the token that an endpoint asks for, from a file: in arguments everybody could see it. */
#ifndef TTAP_CLI_TOKEN_H
#define TTAP_CLI_TOKEN_H

#include <stdbool.h>

enum { CLI_TOKEN_BYTES_MAX = 256, CLI_TOKEN_SIZE = CLI_TOKEN_BYTES_MAX + 2 };

/** The token alone on the first line of the file. Only what can stand in a header is accepted. False: it was said why not. */
bool cli_token_read(const char *name, char token[CLI_TOKEN_SIZE]);

#endif
