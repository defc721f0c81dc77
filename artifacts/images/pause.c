/* The first process of every pod: holds its namespaces, and reaps processes that lost their parent.
 * Static, so that it runs in an image with nothing else in it. */
#include <signal.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal_number)
{
    (void)signal_number;
    _exit(0);
}

static void reap(int signal_number)
{
    (void)signal_number;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

int main(int argc, char **argv)
{
    struct sigaction on_end = {.sa_handler = end};
    struct sigaction on_child = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};

    /* The job by which `kubeadm upgrade` tries whether pods run (phases/upgrade/health.go): it has to end. */
    if (argc > 1 && strcmp(argv[1], "-v") == 0)
        return 0;
    /* Process 1 of a process namespace gets only those signals that it handles. */
    if (sigaction(SIGINT, &on_end, NULL) < 0 || sigaction(SIGTERM, &on_end, NULL) < 0 ||
        sigaction(SIGCHLD, &on_child, NULL) < 0)
        return 1;
    for (;;)
        pause();
}
