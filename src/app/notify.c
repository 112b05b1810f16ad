/* Words to the service manager: ready, alive, stopping, and a sentence for `systemctl status`. */
#include "app/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

static int notify_fd = -1;

void notify_open(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t bytes = path != NULL ? strlen(path) : 0;
    if (bytes == 0) {
        return;
    }
    if ((path[0] != '/' && path[0] != '@') || bytes >= sizeof address.sun_path) {
        LOG_WARN("notify", "NOTIFY_SOCKET=%s: not an absolute or abstract path: not used", path);
        return;
    }
    memcpy(address.sun_path, path, bytes);
    if (path[0] == '@') {
        address.sun_path[0] = 0;
    }
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes);
    notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify_fd < 0 || connect(notify_fd, (const struct sockaddr *)&address, length) != 0) {
        LOG_WARN("notify", "NOTIFY_SOCKET=%s: %s: not used", path, strerror(errno));
        notify_close();
    }
    unsetenv("NOTIFY_SOCKET"); /* not for children */
}

void notify_close(void)
{
    if (notify_fd >= 0) {
        close(notify_fd);
        notify_fd = -1;
    }
}

void notify_send(const char *format, ...)
{
    char text[512];
    va_list arguments;
    if (notify_fd < 0) {
        return;
    }
    va_start(arguments, format);
    int bytes = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (bytes > 0) {
        size_t most = (size_t)bytes < sizeof text ? (size_t)bytes : sizeof text - 1;
        (void)send(notify_fd, text, most, MSG_NOSIGNAL); /* best effort, see the header */
    }
}
