/* SPDX-License-Identifier: MIT
 *
 * The limit of the machine: plain loops over the bits of two bitmaps, compiled with -O3 -march=native. It reads lines from its input, each
 * an operation, and answers each with a line: nanoseconds and the answer. See src/measure/child.ts.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__AVX512F__) || defined(__BMI2__)
#include <immintrin.h>
#endif

#define PAGE_WORDS 8192 /* words of 64 bits in 64 KiB */

static uint64_t *a, *b, *target;
static size_t words;     /* of 64 bits */

/* First and last bit of runs in turn, for as many words as one batch has, and room for a store of 64 bytes. */
#define BATCH_WORDS 512
static uint32_t edges[BATCH_WORDS * 64 + 32];
static size_t edge_count;
static uint32_t edge_hash;

static uint64_t clock_of(clockid_t id) {
  struct timespec time;
  clock_gettime(id, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t wall_start, processor_start;

static void start_timer(void) {
  processor_start = clock_of(CLOCK_PROCESS_CPUTIME_ID);
  wall_start = clock_of(CLOCK_MONOTONIC);
}

/* The processor time if it is less than the time that went by: the process waited for a processor then. See src/contestants/main.ts. */
static uint64_t stop_timer(void) {
  uint64_t wall = clock_of(CLOCK_MONOTONIC) - wall_start;
  uint64_t processor = clock_of(CLOCK_PROCESS_CPUTIME_ID) - processor_start;
  return processor < wall ? processor : wall;
}

static void fail(const char *what) {
  printf("error %s\n", what);
  exit(1);
}

static void *memory(size_t bytes) {
  void *result = NULL;
  if (posix_memalign(&result, 64, bytes + 64) != 0) fail("out of memory");
  return result;
}

/* Memory that nobody has touched; malloc may give out what was freed. */
static void *fresh_memory(size_t bytes) {
  void *result = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (result == MAP_FAILED) fail("out of memory");
  return result;
}

static uint64_t *bits_of(const char *path) {
  struct stat status;
  int file = open(path, O_RDONLY);
  if (file < 0 || fstat(file, &status) != 0) fail("cannot open the data");
  words = (size_t)status.st_size / 8;
  uint64_t *result = memory(words * 8);
  for (size_t done = 0; done < words * 8;) {
    ssize_t got = read(file, (char *)result + done, words * 8 - done);
    if (got <= 0) fail("cannot read the data");
    done += (size_t)got;
  }
  close(file);
  return result;
}

static uint64_t count_of(const uint64_t *from, size_t length) {
  uint64_t count = 0;
  for (size_t at = 0; at < length; at++) count += (uint64_t)__builtin_popcountll(from[at]);
  return count;
}

static uint64_t sum_of(const uint64_t *from, size_t length) {
  uint64_t sum = 0;
  for (size_t at = 0; at < length; at++) sum += from[at];
  return sum;
}

static void or_into(uint64_t *restrict to, const uint64_t *restrict from) {
  for (size_t at = 0; at < words; at++) to[at] |= from[at];
}

static void and_not_into(uint64_t *restrict to, const uint64_t *restrict from) {
  for (size_t at = 0; at < words; at++) to[at] &= ~from[at];
}

/* Finds the first dirty bit of each 64 KiB; returns the sum of their numbers. */
static uint64_t first_of_pages(void) {
  uint64_t sum = 0;
  for (size_t page = 0; page < words; page += PAGE_WORDS) {
    size_t at = page;
    while (at + 16 <= page + PAGE_WORDS) {
      uint64_t any = 0;
      for (size_t next = 0; next < 16; next++) any |= a[at + next];
      if (any != 0) break;
      at += 16;
    }
    while (at < page + PAGE_WORDS && a[at] == 0) at++;
    if (at < page + PAGE_WORDS) sum += at * 64 + (size_t)__builtin_ctzll(a[at]);
  }
  return sum;
}

static void end_batch(const uint32_t *end, int is_hashed) {
  edge_count += (size_t)(end - edges);
  for (const uint32_t *edge = edges; is_hashed && edge < end; edge++) edge_hash = (edge_hash ^ *edge) * 0x01000193u;
}

/* Lists the runs of dirty bits in batches. An edge is a bit that differs from the one before it. */
static void list_runs(const uint64_t *from, size_t length, int is_hashed) {
  uint32_t *out = edges;
  uint64_t carry = 0;
  edge_count = 0;
  edge_hash = 0x811c9dc5u;
  for (size_t at = 0; at < length; at++) {
    if (at % BATCH_WORDS == 0) {
      end_batch(out, is_hashed);
      out = edges;
    }
    uint64_t word = from[at];
    uint64_t edge = word ^ (word << 1 | carry);
    carry = word >> 63;
    if (edge == 0) continue;
    uint32_t base = (uint32_t)(at * 64);
    int left = __builtin_popcountll(edge);
    uint32_t is_last = (uint32_t)(edge_count + (size_t)(out - edges)) % 2;
#ifdef __AVX512F__
    if (left > 8) {
      /* The last bit of a run is the one before its edge: 1 is taken from each second number. */
      __m512i minus = is_last == 0 ? _mm512_set1_epi64(0x100000000) : _mm512_set1_epi64(1);
      __m512i swapped = _mm512_xor_si512(minus, _mm512_set1_epi64(0x100000001));
      __m512i bits = _mm512_add_epi32(_mm512_set1_epi32((int)base),
                                      _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
      for (int part = 0; part < 4; part++, edge >>= 16) {
        __mmask16 mask = (__mmask16)edge;
        _mm512_storeu_si512(out, _mm512_sub_epi32(_mm512_maskz_compress_epi32(mask, bits), minus));
        int stored = __builtin_popcount(mask);
        out += stored;
        if (stored % 2 == 1) {
          __m512i other = minus;
          minus = swapped;
          swapped = other;
        }
        bits = _mm512_add_epi32(bits, _mm512_set1_epi32(16));
      }
      continue;
    }
#endif
    for (; left > 0; left--, edge &= edge - 1, is_last ^= 1)
      *out++ = base + (uint32_t)__builtin_ctzll(edge) - is_last;
  }
  if (carry == 1) *out++ = (uint32_t)(length * 64 - 1);
  end_batch(out, is_hashed);
}

/* One dirty bit of two is one dirty bit: half as many bits. */
static void coarsen(uint64_t *restrict to, const uint64_t *restrict from) {
#ifdef __BMI2__
  const uint64_t even = 0x5555555555555555u;
  for (size_t at = 0; at < words / 2; at++) {
    uint64_t low = from[2 * at], high = from[2 * at + 1];
    to[at] = _pext_u64(low | low >> 1, even) | _pext_u64(high | high >> 1, even) << 32;
  }
#else
  uint32_t *half = (uint32_t *)to;
  for (size_t at = 0; at < words; at++) {
    uint64_t x = (from[at] | from[at] >> 1) & 0x5555555555555555u;
    x = (x | x >> 1) & 0x3333333333333333u;
    x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0fu;
    x = (x | x >> 4) & 0x00ff00ff00ff00ffu;
    x = (x | x >> 8) & 0x0000ffff0000ffffu;
    half[at] = (uint32_t)(x | x >> 16);
  }
#endif
}

/* Each bit becomes two: the bits of the first half, in all words. */
static void refine(uint64_t *restrict to, const uint64_t *restrict from) {
  const uint32_t *half = (const uint32_t *)from;
  for (size_t at = 0; at < words; at++) {
#ifdef __BMI2__
    uint64_t x = _pdep_u64(half[at], 0x5555555555555555u);
#else
    uint64_t x = half[at];
    x = (x | x << 16) & 0x0000ffff0000ffffu;
    x = (x | x << 8) & 0x00ff00ff00ff00ffu;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
    x = (x | x << 2) & 0x3333333333333333u;
    x = (x | x << 1) & 0x5555555555555555u;
#endif
    to[at] = x | x << 1;
  }
}

/* Writes 4 KiB in place and waits until they are on the disk. */
static uint64_t sync_once(const char *path) {
  static char block[4096];
  int file = open(path, O_RDWR | O_CREAT, 0600);
  if (file < 0 || pwrite(file, block, sizeof block, 0) != sizeof block || fsync(file) != 0) fail("cannot write");
  block[0]++;
  uint64_t start = clock_of(CLOCK_MONOTONIC);
  if (pwrite(file, block, sizeof block, 0) != sizeof block || fdatasync(file) != 0) fail("cannot write");
  uint64_t time = clock_of(CLOCK_MONOTONIC) - start;
  close(file);
  return time;
}

/* Returns the answer of an operation that has made bits: how many of them are dirty, or in a check a hash of all runs. */
static uint64_t answer_of(const uint64_t *bits, size_t length, int is_check) {
  if (!is_check) return count_of(bits, length);
  list_runs(bits, length, 1);
  return edge_hash;
}

/* A name with "-check" at its end asks for the full answer of the operation. */
static void run(char *name) {
  size_t bytes = words * 8;
  uint64_t time, answer = 0;
  uint64_t *fresh = NULL;
  static const char suffix[] = "-check";
  size_t length = strlen(name), suffix_length = sizeof suffix - 1;
  int is_check = length > suffix_length && strcmp(name + length - suffix_length, suffix) == 0;
  if (is_check) name[length - suffix_length] = 0;
#define IS(text) (strcmp(name, text) == 0)
#define TIMED(work) (start_timer(), (work), time = stop_timer())
  if (IS("memcpy")) {
    TIMED(memcpy(target, a, bytes));
    answer = target[words / 2] == a[words / 2];
  } else if (IS("memcpy-fresh")) {
    TIMED((fresh = fresh_memory(bytes), memcpy(fresh, a, bytes)));
    answer = fresh[words / 2] == a[words / 2];
  } else if (IS("read")) {
    TIMED(answer = sum_of(a, words));
    answer = answer == sum_of(a, words);
  } else if (IS("or") || IS("andnot")) {
    memcpy(target, a, bytes);
    if (IS("or")) TIMED(or_into(target, b));
    else TIMED(and_not_into(target, b));
    answer = answer_of(target, words, is_check);
  } else if (IS("count")) {
    a[0] ^= 1;
    TIMED(answer = count_of(a, words));
    a[0] ^= 1;
  } else if (IS("zero")) {
    TIMED(answer = first_of_pages());
  } else if (IS("runs")) {
    TIMED(list_runs(a, words, is_check));
    answer = is_check ? edge_hash : edge_count / 2;
  } else if (IS("coarsen")) {
    TIMED(coarsen(target, a));
    answer = answer_of(target, words / 2, is_check);
  } else if (IS("coarsen-fresh")) {
    TIMED((fresh = fresh_memory(bytes), coarsen(fresh, a)));
    answer = answer_of(fresh, words / 2, is_check);
  } else if (IS("refine")) {
    TIMED(refine(target, a));
    answer = answer_of(target, words, is_check);
  } else if (IS("refine-fresh")) {
    TIMED((fresh = fresh_memory(bytes), refine(fresh, a)));
    answer = answer_of(fresh, words, is_check);
  } else if (strncmp(name, "sync ", 5) == 0) {
    time = sync_once(name + 5);
  } else {
    fail("no such operation");
  }
  if (fresh != NULL) munmap(fresh, bytes);
  printf("%" PRIu64 " %" PRIu64 "\n", time, answer);
}

int main(int count, char **paths) {
  if (count != 3) fail("two files are needed");
  a = bits_of(paths[1]);
  b = bits_of(paths[2]);
  target = memory(words * 8);
  memset(target, 1, words * 8);
  printf("ready\n");
  fflush(stdout);
  char line[4096];
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = 0;
    run(line);
    fflush(stdout);
  }
  return 0;
}
