/* A slow network on one machine: netproxy PORT ROUND_TRIP_MICROSECONDS CAP_BYTES_PER_SECOND
 *
 * Forwards TCP connections to 127.0.0.1:PORT. Every byte, and every end of a stream, arrives half a round trip after it
 * was sent; setting up a connection costs one round trip more, as it does on a wire. With a cap (0: none), each
 * direction of each connection passes at most so many bytes per second. There is no congestion control in it: a
 * connection has its full speed from the start.
 *
 * Its own port is printed as the first line; SIGTERM ends it, and makes it print what has passed as one JSON object.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK_BYTES = 256 << 10,
    CAPPED_READ_BYTES = 16 << 10, /* small enough that a capped stream flows evenly */
    MAX_UNDER_WAY = 16 << 20,     /* bytes per direction: 800 MB/s at a round trip of 40 ms */
    MAX_EVENTS = 256,
};
static const int64_t SECOND = 1000000000;
static const int64_t MERGE = 50000;            /* ns: what comes within so short a time may arrive together */
static const int64_t CAPPED_BACKLOG = 20000000; /* ns: how far ahead of its cap a stream is read */
static const int64_t NEVER = INT64_MAX;

struct chunk {
    struct chunk *next;
    int64_t due;
    size_t begin, end;
    char bytes[CHUNK_BYTES];
};

/* One direction of a connection. */
struct stream {
    struct chunk *head, *tail;
    size_t under_way;
    int64_t not_before; /* nothing counts as sent earlier: the connection was still being set up */
    int64_t cap_free;   /* when the capped line is free again */
    int64_t end_due;    /* when the end of the stream arrives, NEVER until it was read */
    bool ended;         /* the end was passed on */
    bool blocked;       /* the receiver takes no more for now */
    uint64_t *passed;
};

struct side {
    int fd;
    uint32_t interest;
    bool detached; /* no longer watched: its peer has gone, which would be reported again and again */
    struct pair *pair;
    struct stream *incoming, *outgoing; /* what is read from this side, and what is written to it */
};

struct pair {
    struct pair *next, *previous;
    struct side client, server;
    struct stream up, down;
    bool broken;
};

static int64_t round_trip, cap;
static struct sockaddr_in target;
static int poller;
static struct pair pairs = {.next = &pairs, .previous = &pairs};
static struct chunk *spare;
static uint64_t accepted, open_now, open_peak, bytes_up, bytes_down;
static volatile sig_atomic_t stopped = 0;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static struct chunk *take_chunk(void)
{
    struct chunk *chunk = spare;
    if (chunk)
        spare = chunk->next;
    else if (!(chunk = malloc(sizeof *chunk)))
        die("malloc");
    chunk->next = NULL;
    chunk->begin = chunk->end = 0;
    return chunk;
}

static void drop_head(struct stream *stream)
{
    struct chunk *chunk = stream->head;
    stream->head = chunk->next;
    if (!stream->head)
        stream->tail = NULL;
    chunk->next = spare;
    spare = chunk;
}

/* When something sent now arrives, if the line is free. */
static int64_t arrival(const struct stream *stream, int64_t time)
{
    return (time > stream->not_before ? time : stream->not_before) + round_trip / 2;
}

static bool wants_input(const struct stream *stream, int64_t time)
{
    if (stream->end_due != NEVER || stream->under_way >= MAX_UNDER_WAY)
        return false;
    return !cap || !stream->head || stream->cap_free <= arrival(stream, time) + CAPPED_BACKLOG;
}

/* Read once; false when there is nothing more for now. */
static bool fill(struct side *side, int64_t time)
{
    struct stream *stream = side->incoming;
    int64_t due = arrival(stream, time);
    if (cap && stream->cap_free > due)
        due = stream->cap_free;
    struct chunk *chunk = stream->tail;
    bool merge = chunk && !cap && due - chunk->due < MERGE && CHUNK_BYTES - chunk->end >= CHUNK_BYTES / 4;
    if (!merge) {
        chunk = take_chunk();
        chunk->due = due;
    }
    size_t room = CHUNK_BYTES - chunk->end;
    if (cap && room > CAPPED_READ_BYTES)
        room = CAPPED_READ_BYTES;
    ssize_t count = recv(side->fd, chunk->bytes + chunk->end, room, MSG_DONTWAIT);
    int error = errno;
    if (count > 0) {
        chunk->end += (size_t)count;
        stream->under_way += (size_t)count;
        *stream->passed += (uint64_t)count;
        if (cap)
            stream->cap_free = due + (int64_t)count * SECOND / cap;
        if (!merge) {
            if (stream->tail)
                stream->tail->next = chunk;
            else
                stream->head = chunk;
            stream->tail = chunk;
        }
        return (size_t)count == room;
    }
    if (!merge) {
        chunk->next = spare;
        spare = chunk;
    }
    if (count == 0)
        stream->end_due = due;
    else if (error != EAGAIN && error != EINTR)
        side->pair->broken = true;
    return false;
}

/* Pass on what has arrived. */
static void drain(struct side *side, int64_t time)
{
    struct stream *stream = side->outgoing;
    stream->blocked = false;
    while (stream->head && stream->head->due <= time) {
        struct chunk *chunk = stream->head;
        size_t size = chunk->end - chunk->begin;
        ssize_t count = send(side->fd, chunk->bytes + chunk->begin, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0) {
            stream->blocked = errno == EAGAIN || errno == EINTR;
            side->pair->broken |= !stream->blocked;
            return;
        }
        chunk->begin += (size_t)count;
        stream->under_way -= (size_t)count;
        if (chunk->begin == chunk->end)
            drop_head(stream);
    }
    if (!stream->head && stream->end_due <= time && !stream->ended) {
        shutdown(side->fd, SHUT_WR);
        stream->ended = true;
    }
}

static void watch(struct side *side, int64_t time)
{
    uint32_t interest = (wants_input(side->incoming, time) ? EPOLLIN : 0) | (side->outgoing->blocked ? EPOLLOUT : 0);
    if (interest == side->interest)
        return;
    struct epoll_event event = {.events = interest, .data.ptr = side};
    if (epoll_ctl(poller, side->detached ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, side->fd, &event) < 0)
        die("epoll_ctl");
    side->interest = interest;
    side->detached = false;
}

static void close_pair(struct pair *pair)
{
    if (pair->broken) { /* the other side learns it as a reset, too */
        struct linger abrupt = {1, 0};
        setsockopt(pair->client.fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
        setsockopt(pair->server.fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
    }
    close(pair->client.fd);
    close(pair->server.fd);
    while (pair->up.head)
        drop_head(&pair->up);
    while (pair->down.head)
        drop_head(&pair->down);
    pair->previous->next = pair->next;
    pair->next->previous = pair->previous;
    free(pair);
    open_now--;
}

static void begin_side(struct side *side, int fd, struct pair *pair, struct stream *incoming, struct stream *outgoing)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *side = (struct side){fd, EPOLLIN, false, pair, incoming, outgoing};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = side};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void accept_all(int listener)
{
    int client;
    while ((client = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (server < 0 || connect(server, (struct sockaddr *)&target, sizeof target) < 0) {
            close(client);
            if (server >= 0)
                close(server);
            continue;
        }
        struct pair *pair = calloc(1, sizeof *pair);
        if (!pair)
            die("calloc");
        pair->up = (struct stream){.end_due = NEVER, .not_before = now() + round_trip, .passed = &bytes_up};
        pair->down = (struct stream){.end_due = NEVER, .passed = &bytes_down};
        begin_side(&pair->client, client, pair, &pair->up, &pair->down);
        begin_side(&pair->server, server, pair, &pair->down, &pair->up);
        pair->next = pairs.next;
        pair->previous = &pairs;
        pairs.next->previous = pair;
        pairs.next = pair;
        accepted++;
        if (++open_now > open_peak)
            open_peak = open_now;
    }
}

static void handle(const struct epoll_event *event, int64_t time)
{
    struct side *side = event->data.ptr;
    if (!(side->interest & EPOLLIN) && event->events & (EPOLLERR | EPOLLHUP)) {
        if (epoll_ctl(poller, EPOLL_CTL_DEL, side->fd, NULL) < 0)
            die("epoll_ctl");
        side->interest = 0;
        side->detached = true;
    }
    for (int reads = 0; reads < 8 && wants_input(side->incoming, time); reads++)
        if (!fill(side, time))
            break;
}

/* Move what is due in all connections; return when something is due next. */
static int64_t turn(int64_t time)
{
    int64_t next = NEVER;
    for (struct pair *pair = pairs.next, *following; pair != &pairs; pair = following) {
        following = pair->next;
        drain(&pair->client, time);
        drain(&pair->server, time);
        if (pair->broken || (pair->up.ended && pair->down.ended)) {
            close_pair(pair);
            continue;
        }
        watch(&pair->client, time);
        watch(&pair->server, time);
        for (int index = 0; index < 2; index++) {
            const struct stream *stream = index ? &pair->up : &pair->down;
            int64_t due = stream->head ? stream->head->due : stream->ended ? NEVER : stream->end_due;
            if (!stream->blocked && due < next)
                next = due;
        }
    }
    return next;
}

static int listen_here(void)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    if (listener < 0 || bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, 1024) < 0 ||
        getsockname(listener, (struct sockaddr *)&here, &length) < 0)
        die("listen");
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    return listener;
}

static void add(int fd, void *tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

int main(int count, char **arguments)
{
    if (count != 4) {
        fprintf(stderr, "usage: netproxy PORT ROUND_TRIP_MICROSECONDS CAP_BYTES_PER_SECOND\n");
        return 2;
    }
    target = (struct sockaddr_in){.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(arguments[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    round_trip = atoll(arguments[2]) * 1000;
    cap = atoll(arguments[3]);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if ((poller = epoll_create1(EPOLL_CLOEXEC)) < 0 || timer < 0)
        die("epoll_create1");
    int listener = listen_here();
    static char listener_tag, timer_tag;
    add(listener, &listener_tag);
    add(timer, &timer_tag);

    struct epoll_event events[MAX_EVENTS];
    while (!stopped) {
        int ready = epoll_wait(poller, events, MAX_EVENTS, -1);
        int64_t time = now();
        for (int index = 0; index < ready; index++) {
            uint64_t expirations;
            if (events[index].data.ptr == &listener_tag)
                accept_all(listener);
            else if (events[index].data.ptr == &timer_tag)
                (void)!read(timer, &expirations, sizeof expirations);
            else
                handle(&events[index], time);
        }
        int64_t next = turn(now());
        struct itimerspec when = {0};
        if (next != NEVER)
            when.it_value = (struct timespec){next / SECOND, next % SECOND};
        if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
            die("timerfd_settime");
    }
    printf("{\"connections\": %llu, \"peak_connections\": %llu, \"bytes_up\": %llu, \"bytes_down\": %llu}\n",
           (unsigned long long)accepted, (unsigned long long)open_peak, (unsigned long long)bytes_up,
           (unsigned long long)bytes_down);
    return 0;
}
