#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "async/address.hpp"
#include "async/cancel.hpp"
#include "async/socket_stream.hpp"
#include "async/wait.hpp"

namespace tacit::async {

namespace {

using Resolver = asio::ip::tcp::resolver;

// A name being looked up. The system's resolver blocks a thread of Asio's and cannot be
// interrupted, so the result has a life of its own: who stops waiting simply lets go of it.
struct Lookup {
  explicit Lookup(const asio::any_io_executor& executor) : resolver{executor}, done{executor} {}
  Resolver resolver;
  Signal done;
  boost::system::error_code error;
  std::vector<Address> addresses;
};

Address to_address(const asio::ip::tcp::endpoint& endpoint) {
  Address address;
  std::memcpy(&address.storage, endpoint.data(), endpoint.size());
  address.size = static_cast<socklen_t>(endpoint.size());
  return address;
}

Async<std::vector<Address>> resolve(const Endpoint& endpoint, Deadline deadline) {
  boost::system::error_code not_literal;
  const auto literal = asio::ip::make_address(endpoint.host, not_literal);
  if (!not_literal) {
    co_return std::vector{to_address(asio::ip::tcp::endpoint{literal, endpoint.port})};
  }
  const auto lookup = std::make_shared<Lookup>(co_await asio::this_coro::executor);
  lookup->resolver.async_resolve(
      endpoint.host, std::to_string(endpoint.port), Resolver::numeric_service,
      [lookup](const boost::system::error_code& error, const Resolver::results_type& results) {
        lookup->error = error;
        for (const auto& found : results) lookup->addresses.push_back(to_address(found.endpoint()));
        lookup->done.notify();
      });
  TACIT_CO_CHECK(co_await lookup->done.wait(deadline));
  if (lookup->error || lookup->addresses.empty()) {
    co_return fail(Error{Code::unavailable, "no such host"}
                       .about(PublicText{endpoint.host})
                       .fix("check the name, and the machine's DNS and network"));
  }
  co_return std::move(lookup->addresses);
}

Error refused(const Endpoint& endpoint, int error) {
  const std::string where = endpoint.unix_path.empty()
                                ? endpoint.host + ':' + std::to_string(endpoint.port)
                                : endpoint.unix_path;
  return Error{Code::unavailable, "cannot connect"}.with("errno", error).about(PublicText{where});
}

Async<std::unique_ptr<Stream>> connect_to(const Endpoint& endpoint, Address address,
                                          Deadline deadline) {
  TACIT_CO_TRY(UniqueFd fd, make_socket(address.family()));
  const int raw = fd.get();
  TACIT_CO_TRY(auto stream, SocketStream::create(co_await asio::this_coro::executor, std::move(fd),
                                                 address.text()));
  if (::connect(raw, address.raw(), address.size) != 0) {
    if (errno != EINPROGRESS) co_return fail(refused(endpoint, errno));
    TACIT_CO_CHECK(co_await stream->readiness().wait(FdWait::User::writer,
                                                     FdWait::Event::wait_write, deadline));
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(raw, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) co_return fail(refused(endpoint, error));
  }
  co_return std::unique_ptr<Stream>{std::move(stream)};
}

// An address that swallows packets must not use up the time of those after it.
Deadline share_of(Deadline deadline, std::size_t addresses_left) {
  constexpr Seconds kLeast{3};
  if (addresses_left <= 1) return deadline;
  if (deadline.is_never()) return Deadline::after(Seconds{15});
  const auto left = deadline.when() - std::chrono::steady_clock::now();
  return deadline.at_most(std::max<Nanoseconds>(left / addresses_left, kLeast));
}

}  // namespace

Async<std::unique_ptr<Stream>> connect(const Endpoint& endpoint,
                                       std::shared_ptr<TlsClientContext> tls, Deadline deadline) {
  TACIT_CO_RETURN_IF_CANCELLED();
  std::vector<Address> addresses;
  if (endpoint.unix_path.empty()) {
    TACIT_CO_TRY(addresses, co_await resolve(endpoint, deadline));
  } else {
    TACIT_CO_TRY(const auto address, unix_address(endpoint.unix_path));
    addresses.push_back(address);
  }
  Result<std::unique_ptr<Stream>> stream = fail(refused(endpoint, 0));
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    stream = co_await connect_to(endpoint, addresses[i], share_of(deadline, addresses.size() - i));
    if (stream || stream.error().code() == Code::cancelled) break;
    if (deadline.passed(std::chrono::steady_clock::now())) break;
  }
  if (!stream || !tls) co_return stream;
  co_return co_await start_tls(*std::move(stream), endpoint.host, std::move(tls), deadline);
}

}  // namespace tacit::async
