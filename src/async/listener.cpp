#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include <boost/asio/ip/tcp.hpp>

#include "async/address.hpp"
#include "async/cancel.hpp"
#include "async/socket_stream.hpp"

namespace tacit::async {

namespace {

class SocketListener final : public Listener {
 public:
  SocketListener(const asio::any_io_executor& executor, std::uint16_t port, std::string unix_path)
      : wait_{executor}, port_{port}, unix_path_{std::move(unix_path)} {}
  ~SocketListener() override { SocketListener::close(); }
  Result<void> open(UniqueFd fd) { return wait_.open(std::move(fd)); }

  std::uint16_t port() const override { return port_; }
  void close() noexcept override {
    wait_.close();
    if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
    unix_path_.clear();
  }

  Async<std::unique_ptr<Stream>> accept() override {
    TACIT_CO_RETURN_IF_CANCELLED();
    for (;;) {
      if (wait_.closed()) co_return fail(Code::cancelled, "closed");
      Address peer;
      UniqueFd fd{::accept4(wait_.fd(), peer.raw(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC)};
      if (fd) {
        if (peer.family() != AF_UNIX) set_no_delay(fd.get());
        TACIT_CO_TRY(std::unique_ptr<Stream> stream,
                     SocketStream::create(wait_.executor(), std::move(fd), peer.text()));
        co_return stream;
      }
      switch (errno) {
        case EAGAIN:
          // bounded by close()
          TACIT_CO_CHECK(co_await wait_.wait(FdWait::User::reader, FdWait::Event::wait_read,
                                             Deadline::never()));
          break;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
          co_return fail(Error{Code::overloaded, "out of descriptors"}
                             .with("errno", errno)
                             .fix("raise the limit of open files (ulimit -n, LimitNOFILE)"));
        default: break;  // the connection died in the queue: the next one, please
      }
    }
  }

 private:
  FdWait wait_;
  std::uint16_t port_;
  std::string unix_path_;
};

Error bind_error(int error, const std::string& where) {
  switch (error) {
    case EADDRINUSE:
      return Error{Code::already_exists, "address is in use"}
          .about(PublicText{where})
          .fix("stop the other server, or choose another address or port");
    case EACCES:
    case EPERM:
      return Error{Code::permission, "may not listen here"}
          .about(PublicText{where})
          .fix("choose a port above 1023, or a folder that you may write");
    case ENOENT:
    case ENOTDIR:
      return Error{Code::not_found, "cannot listen: no such folder"}
          .about(PublicText{where})
          .fix("make the folder of the socket first");
    default:
      return Error{Code::invalid_argument, "cannot listen"}
          .with("errno", error)
          .about(PublicText{where});
  }
}

// Takes a stale socket file away, so that a crash of an earlier server needs no clean-up by hand.
Result<void> remove_stale(const std::string& path, const Address& address) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return {};
  if (!S_ISSOCK(status.st_mode)) return fail(bind_error(EADDRINUSE, path));
  TACIT_TRY(const UniqueFd probe, make_socket(AF_UNIX));
  if (::connect(probe.get(), address.raw(), address.size) == 0 || errno != ECONNREFUSED) {
    return fail(bind_error(EADDRINUSE, path));  // somebody listens
  }
  ::unlink(path.c_str());
  return {};
}

Result<UniqueFd> listen_unix(const std::string& path, int backlog) {
  TACIT_TRY(const auto address, unix_address(path));
  TACIT_CHECK(remove_stale(path, address));
  TACIT_TRY(UniqueFd fd, make_socket(AF_UNIX));
  // Nobody can connect between bind and listen, so the mode is set in time.
  if (::bind(fd.get(), address.raw(), address.size) != 0 || ::chmod(path.c_str(), 0600) != 0 ||
      ::listen(fd.get(), backlog) != 0) {
    return fail(bind_error(errno, path));
  }
  return fd;
}

Result<UniqueFd> listen_tcp(Address address, bool first, int backlog) {
  TACIT_TRY(UniqueFd fd, make_socket(address.family()));
  const int on = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // A first listener binds without SO_REUSEPORT, which fails where anybody else listens, and shares
  // its port only then.
  const auto share = [&] {
    return ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  };
  if ((!first && share() != 0) || ::bind(fd.get(), address.raw(), address.size) != 0 ||
      (first && share() != 0) || ::listen(fd.get(), backlog) != 0) {
    return fail(bind_error(errno, address.text()));
  }
  return fd;
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::bind(asio::any_io_executor executor,
                                                 const Endpoint& endpoint, bool first,
                                                 int backlog) {
  UniqueFd fd;
  std::uint16_t port = 0;
  if (!endpoint.unix_path.empty()) {
    TACIT_TRY(fd, listen_unix(endpoint.unix_path, backlog));
  } else {
    boost::system::error_code error;
    const auto host =
        asio::ip::make_address(endpoint.host == "localhost" ? "127.0.0.1" : endpoint.host, error);
    if (error) {
      return fail(Error{Code::invalid_argument, "not an IP address to listen on"}
                      .about(PublicText{endpoint.host})
                      .fix("use 127.0.0.1, ::1, 0.0.0.0, :: or an address of this machine"));
    }
    const asio::ip::tcp::endpoint wanted{host, endpoint.port};
    Address address;
    std::memcpy(&address.storage, wanted.data(), wanted.size());
    address.size = static_cast<socklen_t>(wanted.size());
    TACIT_TRY(fd, listen_tcp(address, first, backlog));
    Address bound;
    if (::getsockname(fd.get(), bound.raw(), &bound.size) != 0) {
      return fail(bind_error(errno, address.text()));
    }
    port = bound.port();
  }
  auto listener = std::make_unique<SocketListener>(executor, port, endpoint.unix_path);
  TACIT_CHECK(listener->open(std::move(fd)));
  return listener;
}

}  // namespace tacit::async
