// Private to async: OpenSSL contexts behind the public types.
#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "async/stream.hpp"

namespace tacit::async {

struct FreeSsl {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};
using SslContext = std::unique_ptr<SSL_CTX, FreeSsl>;
using SslHandle = std::unique_ptr<SSL, FreeSsl>;

class OpensslServerContext final : public TlsServerContext {
 public:
  explicit OpensslServerContext(SslContext context) : context_{std::move(context)} {}
  SSL_CTX* get() const noexcept { return context_.get(); }

 private:
  SslContext context_;
};

class OpensslClientContext final : public TlsClientContext {
 public:
  explicit OpensslClientContext(SslContext context) : context_{std::move(context)} {}
  SSL_CTX* get() const noexcept { return context_.get(); }

 private:
  SslContext context_;
};

}  // namespace tacit::async
