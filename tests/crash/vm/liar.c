/* Makes a daemon lie, so that tests can show they would notice; LD_PRELOAD it. LIES names what:
 *   sync     fsync and fdatasync do nothing, and say that it worked
 *   mapping  MAP_SYNC is left out of a mapping, which then succeeds as an ordinary one */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

static int lies(const char* about) {
  const char* names = getenv("LIES");
  return names != NULL && strstr(names, about) != NULL;
}

int fdatasync(int fd) {
  if (lies("sync")) return 0;
  return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

int fsync(int fd) {
  if (lies("sync")) return 0;
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

void* mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) {
  if ((flags & MAP_SHARED_VALIDATE) == MAP_SHARED_VALIDATE && (flags & MAP_SYNC) && lies("mapping")) {
    flags = (flags & ~(MAP_SHARED_VALIDATE | MAP_SYNC)) | MAP_SHARED;
  }
  return ((void* (*)(void*, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap"))(at, bytes, protection,
                                                                                    flags, fd, offset);
}

void* mmap64(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) {
  return mmap(at, bytes, protection, flags, fd, offset);
}
