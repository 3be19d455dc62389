/* Starts a client and says what it cost: launch RESULT LIMIT_SECONDS PROGRAM [ARGUMENT...]
 *
 * A process inherits the peak memory of the one that it was forked from, so a client started by a big program would be
 * charged for that program's memory. This one is small. What it writes to RESULT is one JSON object.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t child = 0;
static volatile sig_atomic_t timed_out = 0;

static void stop_child(int number)
{
    if (number == SIGALRM)
        timed_out = 1;
    if (child > 0)
        kill(-child, SIGKILL);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
    return time.tv_sec + time.tv_usec / 1e6;
}

static void run(char **command)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

int main(int count, char **arguments)
{
    if (count < 4) {
        fprintf(stderr, "usage: launch RESULT LIMIT_SECONDS PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    struct sigaction action = {.sa_handler = stop_child};
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    double begin = now();
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        return 1;
    }
    if (pid == 0)
        run(arguments + 3);
    setpgid(pid, pid); /* whichever of the two is first */
    child = pid;
    alarm((unsigned)atoi(arguments[2]));

    int status = 0;
    struct rusage usage;
    while (wait4(pid, &status, 0, &usage) < 0)
        if (errno != EINTR) {
            perror("wait4");
            return 1;
        }
    double wall = now() - begin;
    kill(-pid, SIGKILL); /* what the client may have left behind */

    FILE *result = fopen(arguments[1], "w");
    if (!result) {
        perror(arguments[1]);
        return 1;
    }
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fprintf(result,
            "{\"wall_seconds\": %.6f, \"user_seconds\": %.6f, \"system_seconds\": %.6f, \"peak_rss_kib\": %ld, "
            "\"exit_code\": %d, \"timed_out\": %s}\n",
            wall, seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss, code,
            timed_out ? "true" : "false");
    return fclose(result) ? 1 : 0;
}
