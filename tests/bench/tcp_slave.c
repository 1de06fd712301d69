/* A Modbus TCP slave for many masters: one thread, epoll, each answer after the same delay.

   usage: tcp_slave DELAY_US IMAGE STATS [DEAD_UNIT]      prints the port it listens on

   It answers every unit but DEAD_UNIT, and serves the requests of one connection side by side. */
#include "slave.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

enum { METERS = 250, CONNECTIONS = 1024, QUEUE = 65536, REQUEST = 12, HEAD = 7 };

typedef struct { uint64_t due; int fd; uint32_t life; uint8_t ask[REQUEST]; } Waiting;

static struct { uint8_t bytes[512]; int filled; uint32_t life; } connections[CONNECTIONS];
static Waiting queue[QUEUE];
static uint32_t head, tail;
static const Register *image;
static Stats *stats;
static uint64_t born, delay_ns;
static int dead = -1;

static void answer(int fd, const uint8_t *ask) {
  uint8_t out[HEAD + 253];
  memcpy(out, ask, HEAD);
  int length = answer_pdu(ask + HEAD, out + HEAD, image, born, stats);
  out[4] = (uint8_t)((length + 1) >> 8);
  out[5] = (uint8_t)(length + 1);
  (void)!write(fd, out, (size_t)(HEAD + length));
}

static void asked(int fd, const uint8_t *ask) {
  uint64_t now = now_ns();
  if (!stats->requests++) stats->first_ns = now;
  stats->last_ns = now;
  if (ask[6] == dead) { stats->dead++; return; }
  if (!delay_ns) { answer(fd, ask); return; }
  Waiting *w = &queue[tail++ % QUEUE];
  *w = (Waiting){.due = now + delay_ns, .fd = fd, .life = connections[fd].life};
  memcpy(w->ask, ask, REQUEST);
}

static void hear(int fd) {
  uint8_t *bytes = connections[fd].bytes;
  ssize_t n = read(fd, bytes + connections[fd].filled,
                   sizeof connections[fd].bytes - (size_t)connections[fd].filled);
  if (n <= 0) {
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    connections[fd].life++; /* what still waits for this master is not for the next one */
    connections[fd].filled = 0;
    close(fd);
    return;
  }
  int filled = connections[fd].filled + (int)n, at = 0;
  for (; filled - at >= REQUEST; at += REQUEST) {
    if (bytes[at + 4] || bytes[at + 5] != REQUEST - 6) { stats->broken++; at = filled; break; }
    asked(fd, bytes + at);
  }
  memmove(bytes, bytes + at, (size_t)(filled - at));
  connections[fd].filled = filled - at;
}

static void answer_due(int timer) {
  uint64_t now = now_ns();
  for (; head != tail && queue[head % QUEUE].due <= now; head++) {
    const Waiting *w = &queue[head % QUEUE];
    if (connections[w->fd].life == w->life) answer(w->fd, w->ask);
  }
  if (head == tail) return;
  uint64_t due = queue[head % QUEUE].due;
  struct itimerspec next = {.it_value = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)}};
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &next, NULL);
}

/* One door at an address of the loopback net; port 0 chooses one, which is given back. */
static int listening(uint32_t address, uint16_t *port) {
  struct sockaddr_in at = {
    .sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons(*port)
  };
  socklen_t size = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) || listen(fd, 512)) exit(1);
  getsockname(fd, (struct sockaddr *)&at, &size);
  *port = ntohs(at.sin_port);
  return fd;
}

static void watch(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  delay_ns = (uint64_t)atoll(argv[1]) * 1000u;
  image = mapped(argv[2], REGISTERS * sizeof(Register), 0);
  stats = mapped(argv[3], sizeof(Stats), 1);
  if (argc > 4) dead = atoi(argv[4]);
  signal(SIGPIPE, SIG_IGN);
  int epoll = epoll_create1(0), last_door = 0;
  uint16_t port = 0;
  for (uint32_t i = 0; i < METERS; i++) { /* each meter has an address of its own: 127.0.0.1 ... */
    last_door = listening(INADDR_LOOPBACK + i, &port);
    watch(epoll, last_door);
  }
  printf("%d\n", port);
  fflush(stdout);
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  watch(epoll, timer);
  be_prompt();
  born = now_ns();
  for (;;) {
    struct epoll_event events[256];
    int n = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == timer) {
        uint64_t times;
        (void)!read(timer, &times, sizeof times);
      } else if (fd <= last_door) {
        int master = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
        if (master >= CONNECTIONS) { close(master); continue; }
        if (master < 0) continue;
        int one = 1;
        setsockopt(master, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(epoll, master);
      } else {
        hear(fd);
      }
    }
    answer_due(timer);
  }
}
