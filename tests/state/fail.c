/* Makes writes and syncs of the state fail, as a full or broken disk does: preloaded into the program. The file that
   FAIL names says what fails: "write" for want of space, "sync" by an error of the device; with "hang", syncs take until
   it says something else; nothing happens when it is empty. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(int fd, const char *what) {
    char link[64], path[4096], order[16] = "";
    const char *orders = getenv("FAIL");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (orders == NULL || length < 0) return 0;
    path[length] = 0;
    if (strstr(path, "tailmeter.db") == NULL) return 0;
    int file = open(orders, O_RDONLY);
    if (file < 0) return 0;
    ssize_t got = read(file, order, sizeof order - 1);
    close(file);
    return got > 0 && strncmp(order, what, strlen(what)) == 0;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t count) {
    if (fails(fd, "write")) { errno = ENOSPC; return -1; }
    return NEXT(write)(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    if (fails(fd, "write")) { errno = ENOSPC; return -1; }
    return NEXT(pwrite64)(fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    if (fails(fd, "write")) { errno = ENOSPC; return -1; }
    return NEXT(pwrite)(fd, bytes, count, offset);
}

int fsync(int fd) {
    while (fails(fd, "hang")) usleep(10000);
    if (fails(fd, "sync")) { errno = EIO; return -1; }
    return NEXT(fsync)(fd);
}

int fdatasync(int fd) {
    while (fails(fd, "hang")) usleep(10000);
    if (fails(fd, "sync")) { errno = EIO; return -1; }
    return NEXT(fdatasync)(fd);
}
