#include "async/tls_stream.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "async/cancel.hpp"
#include "async/wait.hpp"
#include "core/secret.hpp"

namespace tacit::async {

namespace {

constexpr std::size_t kRecordBytesMax = 16 * 1024;

// A BIO over our socket. OpenSSL's own writes without MSG_NOSIGNAL.
SocketStream& socket_of(BIO* bio) { return *static_cast<SocketStream*>(BIO_get_data(bio)); }

int bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
  BIO_clear_retry_flags(bio);
  auto& readiness = socket_of(bio).readiness();
  if (readiness.closed()) return 0;
  const auto n = ::send(readiness.fd(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n >= 0) {
    *written = static_cast<std::size_t>(n);
    return 1;
  }
  if (errno == EAGAIN || errno == EINTR) BIO_set_retry_write(bio);
  return 0;
}

int bio_read(BIO* bio, char* data, std::size_t size, std::size_t* read) {
  BIO_clear_retry_flags(bio);
  auto& readiness = socket_of(bio).readiness();
  if (readiness.closed()) return 0;
  const auto n = ::recv(readiness.fd(), data, size, MSG_DONTWAIT);
  if (n > 0) {
    *read = static_cast<std::size_t>(n);
    return 1;
  }
  if (n == 0) {
    BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  } else if (errno == EAGAIN || errno == EINTR) {
    BIO_set_retry_read(bio);
  }
  return 0;
}

long bio_ctrl(BIO* bio, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    default: return 0;
  }
}

BIO_METHOD* make_bio_method() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tacit socket");
  if (method == nullptr) return nullptr;
  BIO_meth_set_write_ex(method, bio_write);
  BIO_meth_set_read_ex(method, bio_read);
  BIO_meth_set_ctrl(method, bio_ctrl);
  return method;
}

// One table of functions for the life of the process; immutable once made.
const BIO_METHOD* bio_method() {
  static const BIO_METHOD* const method = make_bio_method();
  return method;
}

Result<SslHandle> make_ssl(SSL_CTX* context) {
  ERR_clear_error();
  SslHandle ssl{SSL_new(context)};
  if (!ssl) return fail(Code::internal, "making a TLS connection");
  return ssl;
}

// TLS runs over a socket of this module: it waits on the descriptor itself.
Result<std::unique_ptr<SocketStream>> take_socket(std::unique_ptr<Stream> stream) {
  if (auto* socket = dynamic_cast<SocketStream*>(stream.get())) {
    (void)stream.release();
    return std::unique_ptr<SocketStream>{socket};
  }
  return fail(Code::invalid_argument, "TLS needs a plain socket below it");
}

Async<std::unique_ptr<Stream>> finish(std::unique_ptr<TlsStream> tls, Deadline deadline) {
  TACIT_CO_CHECK(tls->attach());
  TACIT_CO_CHECK(co_await tls->handshake(deadline));
  co_return std::unique_ptr<Stream>{std::move(tls)};
}

}  // namespace

Result<void> TlsStream::attach() {
  const auto* method = bio_method();
  BIO* bio = method != nullptr ? BIO_new(method) : nullptr;
  if (bio == nullptr) return fail(Code::internal, "making a TLS connection");
  BIO_set_data(bio, socket_.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  return {};
}

Async<void> TlsStream::wait_for(int ssl_error, User user, Deadline deadline) {
  using Event = FdWait::Event;
  auto& readiness = socket_->readiness();
  (user == User::reader ? reads_ : writes_).waits();
  switch (ssl_error) {
    case SSL_ERROR_WANT_READ: co_return co_await readiness.wait(user, Event::wait_read, deadline);
    case SSL_ERROR_WANT_WRITE: co_return co_await readiness.wait(user, Event::wait_write, deadline);
    case SSL_ERROR_SSL: {
      const auto reason = ERR_GET_REASON(ERR_peek_error());
      ERR_clear_error();
      if (readiness.closed()) co_return fail(Code::cancelled, "closed");
      if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        co_return fail(Code::malformed, "TLS stream was cut short");
      }
      co_return fail(Error{Code::malformed, "TLS failed"}.with("reason", reason));
    }
    default:
      ERR_clear_error();
      if (readiness.closed()) co_return fail(Code::cancelled, "closed");
      co_return fail(Error{Code::io, "TLS connection was lost"}.with("errno", errno));
  }
}

Async<void> TlsStream::handshake(Deadline deadline) {
  TACIT_CO_RETURN_IF_CANCELLED();
  for (;;) {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    if (done == 1) co_return Result<void>{};
    const int error = SSL_get_error(ssl_.get(), done);
    const auto verified = SSL_get_verify_result(ssl_.get());
    if (error == SSL_ERROR_SSL && verified != X509_V_OK) {
      ERR_clear_error();
      co_return fail(Error{Code::forbidden, "the server's certificate does not verify"}
                         .with("verify_error", verified)
                         .fix("check the host name, the machine's clock and its trusted CAs: "
                              "the package ca-certificates, or a file named by SSL_CERT_FILE"));
    }
    TACIT_CO_CHECK(co_await wait_for(error, User::reader, deadline));
  }
}

Async<std::size_t> TlsStream::read_some(std::span<std::byte> into, Deadline deadline) {
  TACIT_CO_RETURN_IF_CANCELLED();
  if (reads_.used_up()) co_await yield();
  for (;;) {
    if (socket_->readiness().closed()) co_return fail(Code::cancelled, "closed");
    ERR_clear_error();
    std::size_t n = 0;
    const int done = SSL_read_ex(ssl_.get(), into.data(), into.size(), &n);
    if (done == 1) co_return n;
    const int error = SSL_get_error(ssl_.get(), done);
    if (error == SSL_ERROR_ZERO_RETURN) co_return 0;
    TACIT_CO_CHECK(co_await wait_for(error, User::reader, deadline));
  }
}

Async<void> TlsStream::wait_readable(Deadline deadline) {
  TACIT_CO_RETURN_IF_CANCELLED();
  for (;;) {
    if (socket_->readiness().closed()) co_return fail(Code::cancelled, "closed");
    if (SSL_pending(ssl_.get()) > 0) co_return Result<void>{};
    // A readable socket is not yet a readable stream: there may be tickets or half a record.
    ERR_clear_error();
    std::byte peeked;
    std::size_t n = 0;
    const int done = SSL_peek_ex(ssl_.get(), &peeked, 1, &n);
    if (done == 1) co_return Result<void>{};
    const int error = SSL_get_error(ssl_.get(), done);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      ERR_clear_error();
      co_return Result<void>{};  // an end or an error, which read_some will tell
    }
    TACIT_CO_CHECK(co_await wait_for(error, User::reader, deadline));
  }
}

Async<void> TlsStream::write_one(BytesView bytes, Deadline deadline) {
  while (!bytes.empty()) {
    if (socket_->readiness().closed()) co_return fail(Code::cancelled, "closed");
    ERR_clear_error();
    std::size_t n = 0;
    const int done = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &n);
    if (done == 1) {
      bytes = bytes.subspan(n);
      continue;
    }
    const int error = SSL_get_error(ssl_.get(), done);
    TACIT_CO_CHECK(co_await wait_for(error, User::writer, deadline));
  }
  co_return Result<void>{};
}

Async<void> TlsStream::write(std::span<const BytesView> parts, Deadline deadline) {
  TACIT_CO_RETURN_IF_CANCELLED();
  if (writes_.used_up()) co_await yield();
  if (parts.size() == 1) co_return co_await write_one(parts[0], deadline);
  // Small parts share a record. The copy holds what the peer alone should see, so it is wiped.
  std::size_t total = 0;
  for (const auto& part : parts) total += part.size();
  SecretBytes record{std::min(total, kRecordBytesMax)};
  std::size_t filled = 0;
  for (auto part : parts) {
    while (!part.empty()) {
      const auto step = std::min(part.size(), record.size() - filled);
      std::copy_n(part.begin(), step,
                  record.reveal_mutable().begin() + static_cast<std::ptrdiff_t>(filled));
      filled += step;
      part = part.subspan(step);
      if (filled < record.size()) continue;
      TACIT_CO_CHECK(co_await write_one(record.reveal(), deadline));
      filled = 0;
    }
  }
  co_return co_await write_one(record.reveal().first(filled), deadline);
}

Task<> TlsStream::shutdown(Deadline deadline) {
  for (;;) {
    if (socket_->readiness().closed()) co_return;
    ERR_clear_error();
    const int done = SSL_shutdown(ssl_.get());
    if (done >= 0) break;  // 0: ours is sent; we need not wait for theirs
    const int error = SSL_get_error(ssl_.get(), done);
    if (error != SSL_ERROR_WANT_WRITE) break;
    const auto waited = co_await wait_for(error, User::writer, deadline);
    if (!waited) break;
  }
  ERR_clear_error();
  socket_->shutdown_write();
}

std::optional<Stream::TlsInfo> TlsStream::tls() const {
  const char* group = SSL_get0_group_name(ssl_.get());
  return TlsInfo{.version = SSL_get_version(ssl_.get()),
                 .group = group != nullptr ? group : "",
                 .cipher = SSL_get_cipher_name(ssl_.get())};
}

Async<std::unique_ptr<Stream>> start_tls(std::unique_ptr<Stream> stream, const std::string& host,
                                         std::shared_ptr<TlsClientContext> tls, Deadline deadline) {
  auto* context = dynamic_cast<OpensslClientContext*>(tls.get());
  if (context == nullptr) co_return fail(Code::invalid_argument, "no TLS context");
  TACIT_CO_TRY(auto socket, take_socket(std::move(stream)));
  TACIT_CO_TRY(auto ssl, make_ssl(context->get()));
  SSL_set_connect_state(ssl.get());
  // An address is checked as an address and is never sent as a name (RFC 6066, section 3).
  auto* parameters = SSL_get0_param(ssl.get());
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) != 1) {
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(ssl.get(), host.c_str()) != 1 ||
        SSL_set_tlsext_host_name(ssl.get(), host.c_str()) != 1) {
      co_return fail(Error{Code::invalid_argument, "host name"}.about(PublicText{host}));
    }
  }
  co_return co_await finish(
      std::make_unique<TlsStream>(std::move(socket), std::move(ssl), std::move(tls)), deadline);
}

Async<std::unique_ptr<Stream>> accept_tls(std::unique_ptr<Stream> plain,
                                          std::shared_ptr<TlsServerContext> tls,
                                          Deadline deadline) {
  auto* context = dynamic_cast<OpensslServerContext*>(tls.get());
  if (context == nullptr) co_return fail(Code::invalid_argument, "no TLS context");
  TACIT_CO_TRY(auto socket, take_socket(std::move(plain)));
  TACIT_CO_TRY(auto ssl, make_ssl(context->get()));
  SSL_set_accept_state(ssl.get());
  co_return co_await finish(
      std::make_unique<TlsStream>(std::move(socket), std::move(ssl), std::move(tls)), deadline);
}

}  // namespace tacit::async
