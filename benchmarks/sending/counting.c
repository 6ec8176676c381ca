/* An SMTP server that only counts: faster than any client, so that the client alone is measured.
 *
 * Usage: counting PORT WORKERS
 *
 * Each worker has a listening socket of its own on the same loopback port (SO_REUSEPORT) and an epoll loop. It prints
 * "ready" when it listens; at SIGTERM, as JSON, how many messages and octets came, and the CPU seconds it spent.
 * Nothing is kept or checked. Replies to what was pipelined leave in one write (RFC 2920 section 3.2).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUFFER (512 * 1024)
#define LONGEST_LINE 4096
#define MOST_WORKERS 16
#define EHLO_REPLY                                                                                     \
    "250-counting.example\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n" \
    "250 ENHANCEDSTATUSCODES\r\n"

struct session {
    int fd;
    int in_data;
    size_t kept;
    char unread[LONGEST_LINE];
};

struct counts {
    long messages;
    long octets;
};

static char buffer[BUFFER];
static char replies[BUFFER];
static size_t replies_length;
static volatile sig_atomic_t ended;

static void end(int signal_number) { (void)signal_number, ended = 1; }

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void reply(const char *line) {
    size_t length = strlen(line);
    if (replies_length + length <= sizeof replies) {
        memcpy(replies + replies_length, line, length);
        replies_length += length;
    }
}

/* Return 0 when the connection shall be closed. */
static int flush_replies(int fd) {
    size_t sent = 0;
    while (sent < replies_length) {
        ssize_t count = send(fd, replies + sent, replies_length - sent, MSG_NOSIGNAL);
        if (count <= 0) return 0;
        sent += (size_t)count;
    }
    replies_length = 0;
    return 1;
}

/* Answer one command; return 0 for QUIT. */
static int command(struct session *session, const char *line, size_t length) {
    if (length >= 4 && !strncasecmp(line, "DATA", 4)) {
        session->in_data = 1;
        reply("354 Go on\r\n");
    } else if (length >= 4 && !strncasecmp(line, "EHLO", 4)) {
        reply(EHLO_REPLY);
    } else if (length >= 4 && !strncasecmp(line, "QUIT", 4)) {
        reply("221 2.0.0 Bye\r\n");
        return 0;
    } else {
        reply("250 2.0.0 Ok\r\n");
    }
    return 1;
}

/* Go through what came; what is not complete stays with the session. Return 0 when it shall be closed. */
static int take(struct session *session, size_t length, struct counts *counts) {
    size_t place = 0;
    while (place < length) {
        char *start = buffer + place;
        size_t left = length - place;
        if (session->in_data) {
            /* The search begins at the line end of DATA, because a message may be empty. */
            char *dot = memmem(start, left, "\r\n.\r\n", 5);
            if (dot == NULL) {
                size_t tail = left < 4 ? left : 4;
                place = length - tail;
                break;
            }
            place = (size_t)(dot - buffer) + 5;
            session->in_data = 0;
            counts->messages++;
            reply("250 2.0.0 Ok\r\n");
        } else {
            char *line_end = memmem(start, left, "\r\n", 2);
            if (line_end == NULL) break;
            place = (size_t)(line_end - buffer) + 2;
            if (!command(session, start, (size_t)(line_end - start))) return 0;
            if (session->in_data) place -= 2;
        }
    }
    session->kept = length - place;
    if (session->kept > sizeof session->unread) return 0;
    memcpy(session->unread, buffer + place, session->kept);
    return 1;
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 1024)) die("listen");
    return fd;
}

static void watch(int epoll, int fd, void *what) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

static void welcome(int epoll, int listener) {
    int fd, yes = 1;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        struct session *session = calloc(1, sizeof *session);
        if (session == NULL) die("calloc");
        session->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        watch(epoll, fd, session);
        reply("220 counting.example ESMTP\r\n");
        flush_replies(fd);
    }
}

static void work(int listener, struct counts *counts) {
    sigset_t none;
    sigemptyset(&none);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int epoll = epoll_create1(0);
    struct epoll_event events[64];
    watch(epoll, listener, NULL);
    while (!ended) {
        /* SIGTERM is let in only here, so that none comes between looking and waiting. */
        int count = epoll_pwait(epoll, events, 64, -1, &none);
        for (int number = 0; number < count; number++) {
            struct session *session = events[number].data.ptr;
            if (session == NULL) {
                welcome(epoll, listener);
                continue;
            }
            memcpy(buffer, session->unread, session->kept);
            ssize_t came = recv(session->fd, buffer + session->kept, BUFFER - session->kept, 0);
            int goes_on = 0;
            if (came > 0) {
                counts->octets += came;
                goes_on = take(session, session->kept + (size_t)came, counts);
                if (!flush_replies(session->fd)) goes_on = 0;
            }
            if (!goes_on) {
                replies_length = 0;
                close(session->fd);
                free(session);
            }
        }
    }
    exit(0);
}

int main(int argc, char **argv) {
    int workers = argc == 3 ? atoi(argv[2]) : 0;
    int listeners[MOST_WORKERS];
    pid_t children[MOST_WORKERS];
    if (workers < 1 || workers > MOST_WORKERS) {
        fprintf(stderr, "usage: counting PORT WORKERS\n");
        return 64;
    }
    size_t room = sizeof(struct counts) * MOST_WORKERS;
    struct counts *counts = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED) die("mmap");
    struct sigaction action = {.sa_handler = end}; /* without SA_RESTART: waiting shall end */
    sigset_t term;
    int caught;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    sigaction(SIGTERM, &action, NULL);
    for (int number = 0; number < workers; number++) listeners[number] = listen_on(atoi(argv[1]));
    for (int number = 0; number < workers; number++) {
        children[number] = fork();
        if (children[number] < 0) die("fork");
        if (children[number] == 0) {
            for (int other = 0; other < workers; other++)
                if (other != number) close(listeners[other]);
            work(listeners[number], &counts[number]);
        }
    }
    /* The parent must not hold the sockets: connections that it never accepts would come to it. */
    for (int number = 0; number < workers; number++) close(listeners[number]);
    printf("ready\n");
    fflush(stdout);
    sigwait(&term, &caught);
    struct counts sum = {0, 0};
    for (int number = 0; number < workers; number++) {
        kill(children[number], SIGTERM);
        waitpid(children[number], NULL, 0);
        sum.messages += counts[number].messages;
        sum.octets += counts[number].octets;
    }
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("{\"messages\": %ld, \"octets\": %ld, \"cpu\": %.3f}\n", sum.messages, sum.octets, cpu);
    return 0;
}
