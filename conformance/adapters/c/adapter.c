/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Protocol 1 of the conformance suite for the reader in conformance/c. */
#define _POSIX_C_SOURCE 200809L /* getline */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "read.h"

enum { MOST_FIELDS = 8 };
enum { OK = 0, REFUSED = 1, SKIP = 3 };

static void write_hello(struct out *out) {
  out_text(out, ",\"protocol\":1,\"name\":\"qdb-c\",\"version\":\"1.0.0\",\"spec\":[1]");
  out_text(out, ",\"profiles\":[\"read\"],\"features\":[\"io\"]");
}

static void write_refusal(struct out *out, const struct error *error) {
  out_key_text(out, "error", error->code);
  out_key_text(out, "requirement", error->rule);
  if (error->offset != NOWHERE) out_key_u64(out, "offset", error->offset);
  out_key(out, "message");
  out_string(out, (const uint8_t *)error->what, strlen(error->what));
}

/* What a `read` request asks for; false if its arguments are not those of the protocol. */
static bool take_request(char *const *fields, size_t count, enum request *request) {
  *request = count == 2 ? READ_ALL : count == 3 ? READ_LIST : READ_ONE;
  if (count < 2 || count > 4) return false;
  return count == 2 || strcmp(fields[2], count == 3 ? "list" : "one") == 0;
}

/* Answers the fields VERB ARG... with the members of the object behind `id`; returns the exit code. */
static int answer(char *const *fields, size_t count, struct out *out) {
  struct error error = {0};
  enum request request;
  if (count == 1 && strcmp(fields[0], "hello") == 0) {
    out_key(out, "ok");
    out_text(out, "true");
    write_hello(out);
    return OK;
  }
  if (count == 0 || strcmp(fields[0], "read") != 0) {
    out_key_text(out, "skip", "this program is a reader: it answers hello and read");
    return SKIP;
  }
  struct mark mark = out_mark(out);
  out_key(out, "ok");
  out_text(out, "true");
  if (!take_request(fields, count, &request))
    fail(&error, "USAGE", "QDB-ERR-041", "arguments: FILE, FILE list, or FILE one NAME", NOWHERE);
  else if (answer_read(fields[1], request, count == 4 ? fields[3] : NULL, out, &error))
    return OK;
  out_cut(out, mark);
  out_key(out, "ok");
  out_text(out, "false");
  if (!error.code) fail(&error, "LIMIT", "QDB-BND-001", "no memory", NOWHERE);
  write_refusal(out, &error);
  return REFUSED;
}

/* Answers one request; returns a negative number if the answer could not be sent. */
static int respond(const char *id, char *const *fields, size_t count) {
  struct out *out = out_new();
  if (!out) return -1;
  out_text(out, "{");
  if (id) {
    out_key(out, "id");
    out_string(out, (const uint8_t *)id, strlen(id));
  }
  int code = answer(fields, count, out);
  out_text(out, "}\n");
  bool sent = out_send(out, stdout);
  out_free(out);
  return sent ? code : -1;
}

static int serve(void) {
  char *line = NULL, *fields[MOST_FIELDS];
  size_t room = 0;
  int code = OK;
  while (code >= 0 && getline(&line, &room, stdin) >= 0) {
    size_t count = 0;
    line[strcspn(line, "\n")] = 0;
    for (char *field = line; field && count < MOST_FIELDS; count++) {
      fields[count] = field;
      field = strchr(field, '\t');
      if (field) *field++ = 0;
    }
    code = respond(fields[0], fields + 1, count - 1);
  }
  free(line);
  return code < 0 ? 2 : 0;
}

int main(int count, char **words) {
  if (count == 2 && strcmp(words[1], "serve") == 0) return serve();
  int code = respond(NULL, words + 1, (size_t)count - 1);
  return code < 0 ? 2 : code;
}
