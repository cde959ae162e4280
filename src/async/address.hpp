// Private to async: socket addresses.
#pragma once

#include <sys/socket.h>

#include <string>

#include "core/error.hpp"
#include "core/unique_fd.hpp"

namespace tacit::async {

// Address is a socket address of any family, by value.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  sockaddr* raw() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* raw() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const noexcept { return storage.ss_family; }
  std::uint16_t port() const noexcept;
  // "127.0.0.1:5050", "[::1]:5050", "unix"
  std::string text() const;
};

// Errors: invalid_argument (too long for a Unix socket address).
Result<Address> unix_address(const std::string& path);

// A non-blocking, close-on-exec stream socket; Nagle's delay is off for TCP. Errors: overloaded
// (out of descriptors), unsupported (no such family on this system).
Result<UniqueFd> make_socket(int family);
void set_no_delay(int fd) noexcept;

}  // namespace tacit::async
