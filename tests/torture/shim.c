/*
 * A disk that fails: preloaded into a host, between SQLite and the system.
 *
 * TORTURE_DISK names a folder. Only files whose name starts with `sandman.db` are looked at, without the lock and the
 * shared memory, neither of which a host expects to survive. In the folder lie
 *
 *   disk/NAME    what the disk itself has of a file: what was written before the last fsync of it that succeeded
 *   dirty/NAME   where it was written since, as pairs of offset and length; the system's memory has that, the disk does not
 *   gone/NAME    it was removed, and the disk does not know that before its folder or another file of that name is synced
 *   full, fsync, readonly   a file of this name makes writes that need space, every fsync, or every write fail
 *   once         the same for the next fsync alone
 *   did-full, did-fsync, did-readonly, did-once   a byte for every time that happened
 *
 * After a failed fsync Linux takes what was written for clean: it can be read, and no later fsync writes it. So it is
 * here. One write of eight reaches the disk at once, as the system may write whatever it likes early; and an fsync takes
 * a moment, in which the power may be lost.
 *
 * The tests put disk/NAME in the place of NAME after they killed the host: the power was lost.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define MOMENT 5000 /* microseconds */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *folder(void)
{
	return getenv("TORTURE_DISK");
}

static void *real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);
	if (!found)
		abort();
	return found;
}

#define REAL(result, name, ...)                                   \
	static result (*next)(__VA_ARGS__);                       \
	if (!next)                                                \
		next = (result (*)(__VA_ARGS__))real(name)

static int real_open(const char *path, int flags)
{
	REAL(int, "open", const char *, int, ...);
	return next(path, flags, 0600);
}

static ssize_t real_pwrite(int fd, const void *bytes, size_t length, off_t at)
{
	REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
	return next(fd, bytes, length, at);
}

static int real_truncate(int fd, off_t length)
{
	REAL(int, "ftruncate64", int, off_t);
	return next(fd, length);
}

/* The name of a file that counts; NULL of any other. */
static const char *counts(const char *path)
{
	const char *name = strrchr(path, '/');
	size_t length;

	name = name ? name + 1 : path;
	length = strlen(name);
	if (!folder() || strncmp(name, "sandman.db", 10) || strstr(path, folder()))
		return NULL;
	if ((length > 4 && !strcmp(name + length - 4, "-shm")) || (length > 5 && !strcmp(name + length - 5, ".lock")))
		return NULL;
	return name;
}

static const char *name_of(int fd, char path[PATH_MAX])
{
	char link[64];
	ssize_t length;

	if (!folder())
		return NULL;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	length = readlink(link, path, PATH_MAX - 1);
	if (length < 0)
		return NULL;
	path[length] = 0;
	return counts(path);
}

static void place(char path[PATH_MAX], const char *kind, const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s/%s", folder(), kind, name);
}

/* Whether the disk has this fault now; notes that it showed. */
static int fails(const char *fault)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof path, "%s/%s", folder(), fault);
	if (access(path, F_OK))
		return 0;
	snprintf(path, sizeof path, "%s/did-%s", folder(), fault);
	fd = real_open(path, O_WRONLY | O_CREAT | O_APPEND);
	if (fd >= 0) {
		REAL(ssize_t, "write", int, const void *, size_t);
		next(fd, "x", 1);
		close(fd);
	}
	return 1;
}

/* The same, once. */
static int fails_once(const char *fault)
{
	char path[PATH_MAX];
	REAL(int, "unlink", const char *);

	if (!fails(fault))
		return 0;
	snprintf(path, sizeof path, "%s/%s", folder(), fault);
	next(path);
	return 1;
}

static off_t size_of(int fd)
{
	struct stat file;

	return fstat(fd, &file) ? 0 : file.st_size;
}

/* Copies a part of a file to the disk, whole pages of it, as far as the file goes. */
static void reaches_disk(int from, int disk, off_t at, off_t end)
{
	char bytes[PAGE];
	off_t size = size_of(from);

	at -= at % PAGE;
	end += PAGE - 1 - (end + PAGE - 1) % PAGE;
	if (end > size)
		end = size;
	while (at < end) {
		size_t wanted = end - at < PAGE ? (size_t)(end - at) : PAGE;
		ssize_t got = pread(from, bytes, wanted, at);

		if (got <= 0 || real_pwrite(disk, bytes, (size_t)got, at) != got)
			abort();
		at += got;
	}
}

/* The system's memory has this part, and the disk has not. */
static void dirty(const char *name, off_t at, off_t length)
{
	char path[PATH_MAX];
	off_t part[2] = { at, length };
	int fd;
	REAL(ssize_t, "write", int, const void *, size_t);

	place(path, "dirty", name);
	fd = real_open(path, O_WRONLY | O_CREAT | O_APPEND);
	if (fd < 0 || next(fd, part, sizeof part) != sizeof part)
		abort();
	close(fd);
}

static void early(int fd, const char *name, off_t at, off_t length)
{
	static unsigned writes;
	char path[PATH_MAX];
	int disk;

	if (++writes % 8)
		return;
	place(path, "disk", name);
	disk = real_open(path, O_RDWR);
	if (disk >= 0) {
		reaches_disk(fd, disk, at, at + length);
		close(disk);
	}
}

static ssize_t write_at(int fd, const void *bytes, size_t length, off_t at)
{
	char path[PATH_MAX];
	const char *name = name_of(fd, path);
	ssize_t done;

	if (!name)
		return real_pwrite(fd, bytes, length, at);
	pthread_mutex_lock(&lock);
	if (fails("readonly")) {
		errno = EROFS;
		done = -1;
	} else if (at + (off_t)length > size_of(fd) && fails("full")) {
		/* As a disk does it: what still fits is written. */
		if (length > PAGE / 2) {
			done = real_pwrite(fd, bytes, length / 2, at);
		} else {
			errno = ENOSPC;
			done = -1;
		}
	} else {
		done = real_pwrite(fd, bytes, length, at);
	}
	if (done > 0) {
		dirty(name, at, done);
		early(fd, name, at, done);
	}
	pthread_mutex_unlock(&lock);
	return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at)
{
	return write_at(fd, bytes, length, at);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	char path[PATH_MAX];
	off_t at;
	ssize_t done;
	REAL(ssize_t, "write", int, const void *, size_t);

	if (!name_of(fd, path))
		return next(fd, bytes, length);
	at = lseek(fd, 0, SEEK_CUR);
	done = write_at(fd, bytes, length, at);
	if (done > 0)
		lseek(fd, at + done, SEEK_SET);
	return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at)
{
	return write_at(fd, bytes, length, at);
}

static int cut(int fd, off_t length)
{
	char path[PATH_MAX];
	const char *name = name_of(fd, path);
	int done;

	if (!name)
		return real_truncate(fd, length);
	pthread_mutex_lock(&lock);
	if (fails("readonly")) {
		errno = EROFS;
		done = -1;
	} else {
		done = real_truncate(fd, length);
	}
	pthread_mutex_unlock(&lock);
	return done;
}

int ftruncate64(int fd, off_t length)
{
	return cut(fd, length);
}

int ftruncate(int fd, off_t length)
{
	return cut(fd, length);
}

/* Everything that is dirty reaches the disk, or is forgotten. */
static void clean(int fd, const char *name, int reaches)
{
	char path[PATH_MAX];
	off_t part[2];
	int disk, list;
	REAL(int, "unlink", const char *);

	place(path, "gone", name);
	if (reaches && !next(path)) {
		place(path, "disk", name);
		next(path);
	}
	place(path, "dirty", name);
	list = real_open(path, O_RDWR | O_CREAT);
	place(path, "disk", name);
	disk = reaches ? real_open(path, O_RDWR | O_CREAT) : -1;
	if (list < 0 || (reaches && disk < 0))
		abort();
	while (reaches && read(list, part, sizeof part) == sizeof part)
		reaches_disk(fd, disk, part[0], part[0] + part[1]);
	if (real_truncate(list, 0) || (reaches && real_truncate(disk, size_of(fd))))
		abort();
	close(list);
	if (reaches)
		close(disk);
}

/* The disk hears of the files that were removed. */
static void forget(void)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *all;
	REAL(int, "unlink", const char *);

	snprintf(path, sizeof path, "%s/gone", folder());
	all = opendir(path);
	while (all && (entry = readdir(all))) {
		if (entry->d_name[0] == '.')
			continue;
		place(path, "disk", entry->d_name);
		next(path);
		place(path, "gone", entry->d_name);
		next(path);
	}
	if (all)
		closedir(all);
}

static int settle(int fd)
{
	char path[PATH_MAX];
	const char *name = name_of(fd, path);
	struct stat file;
	int failed;
	REAL(int, "fsync", int);

	if (!name && folder() && !fstat(fd, &file) && S_ISDIR(file.st_mode))
		forget();
	if (!name)
		return next(fd);
	pthread_mutex_lock(&lock);
	usleep(MOMENT);
	failed = fails("fsync") || fails_once("once");
	clean(fd, name, !failed);
	pthread_mutex_unlock(&lock);
	errno = EIO;
	return failed ? -1 : 0;
}

int fsync(int fd)
{
	return settle(fd);
}

int fdatasync(int fd)
{
	return settle(fd);
}

int unlink(const char *path)
{
	const char *name = counts(path);
	char other[PATH_MAX];
	REAL(int, "unlink", const char *);

	if (name && fails("readonly")) {
		errno = EROFS;
		return -1;
	}
	if (name) {
		place(other, "gone", name);
		close(real_open(other, O_WRONLY | O_CREAT));
		place(other, "dirty", name);
		next(other);
	}
	return next(path);
}

static int open_file(const char *path, int flags, mode_t mode)
{
	REAL(int, "open", const char *, int, ...);

	if ((flags & O_ACCMODE) != O_RDONLY && counts(path) && fails("readonly")) {
		errno = EROFS;
		return -1;
	}
	return next(path, flags, mode);
}

#define OPEN(name)                                       \
	int name(const char *path, int flags, ...)       \
	{                                                \
		va_list rest;                            \
		mode_t mode;                             \
		va_start(rest, flags);                   \
		mode = va_arg(rest, mode_t);             \
		va_end(rest);                            \
		return open_file(path, flags, mode);     \
	}

OPEN(open)
OPEN(open64)
