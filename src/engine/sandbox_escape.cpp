// The self-test's attempts to leave the sandbox. Each is a call that a taken-over worker would try.
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "engine/sandbox.hpp"

namespace tacit::engine {
namespace {

Escape attempt(std::string_view name, long result) {
  const int error = errno;
  return {name, result < 0, result < 0 ? error : 0};
}

Escape attempt_fd(std::string_view name, int fd) {
  const auto escape = attempt(name, fd);
  if (fd >= 0) ::close(fd);
  return escape;
}

Escape attempt_fork() {
  const auto child = ::fork();
  if (child == 0) ::_exit(0);
  const auto escape = attempt("fork", child);
  if (child > 0) ::waitpid(child, nullptr, 0);
  return escape;
}

Escape attempt_execve() {
  // In this very process: when it succeeds, the self-test is gone and its caller sees no report.
  char name[] = "/bin/true";
  char* const arguments[] = {name, nullptr};
  char* const environment[] = {nullptr};
  return attempt("execve", ::execve(name, arguments, environment));
}

Escape attempt_executable_memory() {
  void* const page =
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return {"mprotect exec", true, errno};
  const auto escape = attempt("mprotect exec", ::mprotect(page, 4096, PROT_READ | PROT_EXEC));
  ::munmap(page, 4096);
  return escape;
}

Escape attempt_connect() {
  // Where sockets can still be made (no seccomp), Landlock must stop the connection itself.
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return {"connect", true, errno};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto failed =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0;
  const int error = errno;
  ::close(fd);
  return {"connect", failed && (error == EACCES || error == EPERM), error};
}

}  // namespace

std::vector<Escape> try_to_escape() {
  std::vector<Escape> out;
  out.push_back(attempt_fd("socket", ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  out.push_back(attempt_fd("socket unix", ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  out.push_back(attempt_connect());
  out.push_back(attempt_fd("open for reading", ::open("/etc/passwd", O_RDONLY | O_CLOEXEC)));
  out.push_back(attempt_fd("open own memory", ::open("/proc/self/mem", O_RDWR | O_CLOEXEC)));
  out.push_back(attempt_fd(
      "write a file", ::open("/tmp/tacit-sandbox-escape", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
  out.push_back(attempt("make a folder", ::mkdir("/tmp/tacit-sandbox-escape.d", 0700)));
  out.push_back(attempt("remove a file", ::unlink("/tmp/tacit-sandbox-bait")));
  out.push_back(attempt_execve());
  out.push_back(attempt_fork());
  out.push_back(attempt("ptrace parent", ::ptrace(PTRACE_SEIZE, ::getppid(), nullptr, nullptr)));
  out.push_back(attempt("signal parent", ::kill(::getppid(), 0)));  // the permission check alone
  out.push_back(attempt_executable_memory());
  out.push_back(attempt("unshare", ::syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */)));
  out.push_back(attempt("bpf", ::syscall(SYS_bpf, 0, nullptr, 0)));
  out.push_back(
      attempt_fd("io_uring", static_cast<int>(::syscall(SYS_io_uring_setup, 1, nullptr))));
  out.push_back(attempt_fd("memfd", static_cast<int>(::syscall(SYS_memfd_create, "x", 0))));
  return out;
}

}  // namespace tacit::engine
