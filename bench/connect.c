/* Load generator: PARALLEL clients that for SECONDS connect, read a greeting, send QUIT and read to the end.
 * Prints the number of complete sessions and of failed ones. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int session(int port)
{
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char reply[4096];
	ssize_t got, total = 0;
	int s = socket(AF_INET, SOCK_STREAM, 0);

	if (s < 0 || connect(s, (struct sockaddr *) &server, sizeof server) != 0 ||
	    read(s, reply, sizeof reply) <= 0 || write(s, "QUIT\r\n", 6) != 6) {
		close(s);
		return 0;
	}
	while ((got = read(s, reply, sizeof reply)) > 0)
		total += got;
	close(s);
	return total > 0;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 100;
	int port = atoi(argv[1]), parallel = atoi(argv[2]), done[2];
	double seconds = atof(argv[3]);
	long count[2], sessions = 0, failures = 0;

	if (pipe(done) != 0)
		return 111;
	for (int i = 0; i < parallel; i++)
		if (fork() == 0) {
			double end = now() + seconds;
			count[0] = count[1] = 0;
			while (now() < end)
				count[session(port) ? 0 : 1]++;
			_exit(write(done[1], count, sizeof count) != sizeof count);
		}
	for (int i = 0; i < parallel; i++)
		if (read(done[0], count, sizeof count) == sizeof count) {
			sessions += count[0];
			failures += count[1];
		}
	printf("%ld %ld\n", sessions, failures);
	return 0;
}
