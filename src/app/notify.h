#ifndef MD_APP_NOTIFY_H
#define MD_APP_NOTIFY_H

/* What a service manager is told (sd_notify(3), read 2026-11): datagrams to the socket that
 * NOTIFY_SOCKET names. The protocol is one sendto(); libsystemd would bring three more libraries
 * into the process for it. Without NOTIFY_SOCKET nothing is sent. Main thread. */

/* Before threads start. Takes the variable out of the environment. */
void notify_open(void);
void notify_close(void);
/* One or more lines NAME=value, such as "READY=1\nSTATUS=recording". Never blocks; a manager that
 * does not read misses it. */
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
