#include "async/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace tacit::async {

namespace {

// The storage is read through the type that its family says it has.
template <class T> T as(const sockaddr_storage& storage) {
  T out;
  std::memcpy(&out, &storage, sizeof out);
  return out;
}

}  // namespace

std::uint16_t Address::port() const noexcept {
  if (family() == AF_INET) return ntohs(as<sockaddr_in>(storage).sin_port);
  if (family() == AF_INET6) return ntohs(as<sockaddr_in6>(storage).sin6_port);
  return 0;
}

std::string Address::text() const {
  std::array<char, INET6_ADDRSTRLEN> host{};
  if (family() == AF_INET) {
    const auto v4 = as<sockaddr_in>(storage);
    ::inet_ntop(AF_INET, &v4.sin_addr, host.data(), host.size());
    return std::string{host.data()} + ':' + std::to_string(port());
  }
  if (family() == AF_INET6) {
    const auto v6 = as<sockaddr_in6>(storage);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, host.data(), host.size());
    return '[' + std::string{host.data()} + "]:" + std::to_string(port());
  }
  return "unix";
}

Result<Address> unix_address(const std::string& path) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof un.sun_path) {
    return fail(Error{Code::invalid_argument, "path of a Unix socket is too long"}
                    .with("bytes", static_cast<std::int64_t>(path.size()))
                    .with("limit", sizeof un.sun_path - 1));
  }
  std::memcpy(un.sun_path, path.c_str(), path.size() + 1);
  Address address;
  std::memcpy(&address.storage, &un, sizeof un);
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

Result<UniqueFd> make_socket(int family) {
  UniqueFd fd{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd) {
    const auto code = errno == EMFILE || errno == ENFILE ? Code::overloaded : Code::unsupported;
    return fail(Error{code, "making a socket"}.with("errno", errno));
  }
  if (family != AF_UNIX) set_no_delay(fd.get());
  return fd;
}

void set_no_delay(int fd) noexcept {
  const int on = 1;
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace tacit::async
