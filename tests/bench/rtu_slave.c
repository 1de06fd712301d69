/* An RTU slave on a pty of its own that takes the time a real line takes.

   usage: rtu_slave BAUD IMAGE STATS [DEAD_UNIT]      prints the path of its pty

   The line has 11-bit characters.  A request of 8 characters is on the wire from its first byte on;
   the answer follows after t3.5 and comes in chunks of 8 characters, as a UART's FIFO gives them.
   A request that begins less than t3.5 after the last answer's end is counted as early (a real
   slave may not hear it); it is answered all the same.  The end is stamped before its last chunk
   is handed over, so a master that waits t3.5 from what it saw is never blamed. */
#include "slave.h"
#include <errno.h>
#include <poll.h>
#include <termios.h>

enum { FIFO = 8, REQUEST = 8, STALE_NS = 50000000 };

static int line;
static uint8_t pending[512];
static int filled;
static uint64_t begun_at, ended_at;

static uint16_t crc16(const uint8_t *bytes, int length) {
  uint16_t crc = 0xFFFF;
  for (int i = 0; i < length; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0xA001 : crc >> 1;
  }
  return crc;
}

/* Takes what has come, stamped when it came; false when nothing came before `until` (0: for ever). */
static int hear(uint64_t until) {
  struct pollfd from = {.fd = line, .events = POLLIN};
  struct timespec left = {0, 0};
  if (until) {
    uint64_t now = now_ns();
    uint64_t wait = until > now ? until - now : 0;
    left.tv_sec = (time_t)(wait / 1000000000u);
    left.tv_nsec = (long)(wait % 1000000000u);
  }
  if (ppoll(&from, 1, until ? &left : NULL, NULL) <= 0) return 0;
  uint64_t now = now_ns();
  if (filled && now - begun_at > STALE_NS) filled = 0;
  if (!filled) begun_at = now;
  ssize_t n = read(line, pending + filled, sizeof pending - (size_t)filled);
  if (n <= 0) { if (errno == EINTR || errno == EAGAIN) return 0; exit(0); }
  filled = (filled + (int)n) % (int)sizeof pending;
  return 1;
}

static void wait_until(uint64_t when) {
  while (now_ns() < when) (void)hear(when);
}

static void say(const uint8_t *frame, int length, uint64_t start, double character_ns) {
  for (int sent = 0; sent < length;) {
    int chunk = length - sent < FIFO ? length - sent : FIFO;
    wait_until(start + (uint64_t)((sent + chunk) * character_ns));
    ended_at = now_ns();
    if (write(line, frame + sent, (size_t)chunk) != chunk) exit(1);
    sent += chunk;
  }
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  double baud = atof(argv[1]), character_ns = 11e9 / baud;
  const Register *image = mapped(argv[2], REGISTERS * sizeof(Register), 0);
  Stats *stats = mapped(argv[3], sizeof(Stats), 1);
  int dead = argc > 4 ? atoi(argv[4]) : -1;
  uint64_t silence = baud > 19200 ? 1750000u : (uint64_t)(3.5 * character_ns);
  line = posix_openpt(O_RDWR | O_NOCTTY);
  if (line < 0 || grantpt(line) || unlockpt(line)) return 1;
  const char *path = ptsname(line);
  int far = open(path, O_RDWR | O_NOCTTY); /* stays open, so that we never see a hang-up */
  struct termios raw;
  if (far < 0 || tcgetattr(far, &raw)) return 1;
  cfmakeraw(&raw);
  tcsetattr(far, TCSANOW, &raw);
  printf("%s\n", path);
  fflush(stdout);
  be_prompt();
  uint64_t born = now_ns();
  for (;;) {
    while (filled < REQUEST) (void)hear(0);
    uint8_t ask[REQUEST], frame[260];
    memcpy(ask, pending, REQUEST);
    uint64_t began = begun_at;
    filled = 0; /* one master, one request: what follows it already is noise */
    uint16_t crc = crc16(ask, REQUEST - 2);
    if (ask[6] != (crc & 0xFF) || ask[7] != crc >> 8) { stats->broken++; continue; }
    if (ended_at && began < ended_at + silence) stats->early++;
    if (!stats->requests++) stats->first_ns = began;
    stats->last_ns = began;
    if (ask[0] == dead) { stats->dead++; continue; }
    frame[0] = ask[0];
    int length = 1 + answer_pdu(ask + 1, frame + 1, image, born, stats);
    crc = crc16(frame, length);
    frame[length++] = (uint8_t)crc;
    frame[length++] = (uint8_t)(crc >> 8);
    say(frame, length, began + (uint64_t)(REQUEST * character_ns) + silence, character_ns);
  }
}
