/* Load generator: PARALLEL clients that for SECONDS log in by POP3 as USER with PASSWORD, say STAT, UIDL, RETR 3 and
 * QUIT, each after the reply to the one before.  Prints the number of complete sessions and of failed ones. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* Read until what has come ends with END; true if it starts with +OK. */
static int reply(int s, const char *end)
{
	static char text[1 << 20];
	size_t length = 0, wanted = strlen(end);
	ssize_t got;

	while (length < wanted || memcmp(text + length - wanted, end, wanted) != 0) {
		if (length == sizeof text || (got = read(s, text + length, sizeof text - length)) <= 0)
			return 0;
		length += got;
	}
	return memcmp(text, "+OK", 3) == 0;
}

static int say(int s, const char *line, const char *end)
{
	size_t length = strlen(line);
	return write(s, line, length) == (ssize_t) length && reply(s, end);
}

static int session(int port, const char *user, const char *pass)
{
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	int good = s >= 0 && setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 &&
		connect(s, (struct sockaddr *) &server, sizeof server) == 0 && reply(s, "\r\n") &&
		say(s, user, "\r\n") && say(s, pass, "\r\n") && say(s, "STAT\r\n", "\r\n") &&
		say(s, "UIDL\r\n", "\r\n.\r\n") && say(s, "RETR 3\r\n", "\r\n.\r\n") && say(s, "QUIT\r\n", "\r\n");
	close(s);
	return good;
}

int main(int argc, char **argv)
{
	char user[128], pass[128];

	if (argc != 6)
		return 100;
	int port = atoi(argv[1]), parallel = atoi(argv[2]), done[2];
	double seconds = atof(argv[3]);
	long count[2], sessions = 0, failures = 0;

	snprintf(user, sizeof user, "USER %s\r\n", argv[4]);
	snprintf(pass, sizeof pass, "PASS %s\r\n", argv[5]);
	if (pipe(done) != 0)
		return 111;
	for (int i = 0; i < parallel; i++)
		if (fork() == 0) {
			double end = now() + seconds;
			count[0] = count[1] = 0;
			while (now() < end)
				count[session(port, user, pass) ? 0 : 1]++;
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
