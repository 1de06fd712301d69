/* What both slaves share: the registers they serve, the counts they keep, the clock. */
#ifndef SLAVE_H
#define SLAVE_H
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { FIXED = 0, JITTER = 1, COUNTING = 2, REGISTERS = 65536, COUNTS_A_SECOND = 16 };

typedef struct { uint16_t value, mode; } Register;

/* Mapped from a file, so that whoever started the slave reads the counts while it runs. */
typedef struct {
  uint64_t requests, answered, registers, early, broken, dead, first_ns, last_ns;
} Stats;

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void *mapped(const char *path, size_t size, int writable) {
  int fd = open(path, writable ? O_RDWR : O_RDONLY);
  if (fd < 0) { perror(path); exit(2); }
  void *at = mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (at == MAP_FAILED) { perror(path); exit(2); }
  return at;
}

/* A model that wakes late would blame its master: real-time if allowed, no timer slack; and a slave
   never outlives whoever started it. */
static inline void be_prompt(void) {
  struct sched_param high = {.sched_priority = 20};
  (void)sched_setscheduler(0, SCHED_FIFO, &high);
  prctl(PR_SET_TIMERSLACK, 1UL);
  prctl(PR_SET_PDEATHSIG, 15UL);
}

static inline uint16_t register_now(const Register *r, uint64_t begun_ns) {
  static uint32_t seed = 2463534242u;
  if (r->mode == JITTER) {
    seed ^= seed << 13; seed ^= seed >> 17; seed ^= seed << 5;
    return (uint16_t)((r->value & 0xF000u) | (seed & 0x0FFFu));
  }
  if (r->mode == COUNTING) {
    uint64_t steps = (now_ns() - begun_ns) * COUNTS_A_SECOND / 1000000000u;
    return (uint16_t)(steps > 0xFFFFu ? 0xFFFFu : steps);
  }
  return r->value;
}

/* Answers a request PDU of 5 bytes into `out`; gives the length: 2 + 2n, or 2 of an exception. */
static inline int answer_pdu(const uint8_t *ask, uint8_t *out, const Register *image,
                             uint64_t begun_ns, Stats *stats) {
  unsigned address = ask[1] << 8 | ask[2], count = ask[3] << 8 | ask[4];
  out[0] = ask[0];
  if ((ask[0] != 3 && ask[0] != 4) || count < 1 || count > 125 || address + count > REGISTERS) {
    out[0] |= 0x80;
    out[1] = ask[0] != 3 && ask[0] != 4 ? 1 : 2;
    return 2;
  }
  out[1] = (uint8_t)(2 * count);
  for (unsigned i = 0; i < count; i++) {
    uint16_t word = register_now(image + address + i, begun_ns);
    out[2 + 2 * i] = (uint8_t)(word >> 8);
    out[3 + 2 * i] = (uint8_t)word;
  }
  stats->answered++;
  stats->registers += count;
  return (int)(2 + 2 * count);
}
#endif
