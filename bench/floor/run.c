/* SPDX-License-Identifier: MIT
 *
 * Runs a program to its end and tells what it took: wall time and processor time in nanoseconds, the most memory that it had resident in KiB,
 * and its exit code, or minus the signal that ended it. See src/programs/runner.ts. Arguments: seconds after which it is killed, the file of
 * its standard output, the program and its arguments. Its standard error is that of this program.
 *
 * It is a small program of its own because the maximum that wait4 tells is at least what the starting process had resident, which would be
 * that of a Node.js. Processor time is that of the program and of all processes that it waited for; the memory is that of the largest of them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t child;

static void kill_child(int signal) {
  (void)signal;
  kill(-child, SIGKILL);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t nanoseconds(struct timeval time) {
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

/* Becomes the program, in a group of its own, so that what it starts is killed with it. */
static void become(int output, char **command) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int input = open("/dev/null", O_RDONLY);
  if (input < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0) _exit(127);
  execvp(command[0], command);
  fprintf(stderr, "%s: %s\n", command[0], strerror(errno));
  _exit(127);
}

int main(int count, char **arguments) {
  if (count < 4) return 2;
  int output = open(arguments[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (output < 0) return perror(arguments[2]), 2;
  signal(SIGALRM, kill_child);
  uint64_t start = now();
  child = fork();
  if (child < 0) return perror("fork"), 2;
  if (child == 0) become(output, arguments + 3);
  alarm((unsigned)atoi(arguments[1]));
  int status;
  struct rusage usage;
  while (wait4(child, &status, 0, &usage) < 0)
    if (errno != EINTR) return perror("wait4"), 2;
  uint64_t wall = now() - start;
  printf("%" PRIu64 " %" PRIu64 " %ld %d\n", wall, nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime),
         usage.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  return 0;
}
