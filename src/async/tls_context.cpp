#include "async/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>
#include <cstring>
#include <filesystem>

namespace tacit::async {

namespace {

// A slash separates ranks: a client that can do the hybrid but guessed X25519 first is asked again,
// for recorded traffic must stay closed to tomorrow's quantum computers.
constexpr const char* kServerGroups = "X25519MLKEM768/X25519:P-256";
// A star sends a key share at once: the hybrid, and X25519 for servers that know nothing newer, so
// that neither costs a further round trip.
constexpr const char* kClientGroups = "*X25519MLKEM768:*X25519:P-256";
constexpr std::array<unsigned char, 9> kAlpn{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
constexpr std::array<unsigned char, 5> kSessionId{'t', 'a', 'c', 'i', 't'};

void set_common_options(SSL_CTX* context) {
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_read_ahead(context, 1);  // a record's header and body in one system call
}

bool set_groups(SSL_CTX* context, std::string groups) {
  return SSL_CTX_set1_groups_list(context, groups.data()) == 1;
}

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_len,
                const unsigned char* offered, unsigned int offered_len, void*) {
  for (unsigned int i = 0; i < offered_len; i += 1U + offered[i]) {
    const unsigned int size = offered[i];
    if (i + 1U + size > offered_len) break;
    if (size == kAlpn[0] && std::memcmp(offered + i + 1, kAlpn.data() + 1, size) == 0) {
      *out = offered + i + 1;
      *out_len = offered[i];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;  // a client that speaks only something else
}

Error setup_error() {
  ERR_clear_error();
  return Error{Code::internal, "OpenSSL refused its configuration"};
}

// Why OpenSSL would not take a file, told apart for the operator.
Error file_error(Literal what, const std::string& path) {
  ERR_clear_error();
  std::error_code status;
  if (!std::filesystem::exists(path, status)) {
    return Error{Code::io, "no such file"}.about(PublicText{path});
  }
  return Error{Code::malformed, what}.about(PublicText{path});
}

}  // namespace

Result<std::shared_ptr<TlsServerContext>> TlsServerContext::from_files(
    const std::string& certificate_chain_pem, const std::string& private_key_pem) {
  ERR_clear_error();
  SslContext context{SSL_CTX_new(TLS_server_method())};
  if (!context) return fail(setup_error());
  auto* raw = context.get();
  set_common_options(raw);
  SSL_CTX_set_options(raw, SSL_OP_CIPHER_SERVER_PREFERENCE);
  if (SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION) != 1 || !set_groups(raw, kServerGroups) ||
      SSL_CTX_set_num_tickets(raw, 1) != 1 ||
      SSL_CTX_set_session_id_context(raw, kSessionId.data(), kSessionId.size()) != 1) {
    return fail(setup_error());
  }
  SSL_CTX_set_alpn_select_cb(raw, choose_alpn, nullptr);
  if (SSL_CTX_use_certificate_chain_file(raw, certificate_chain_pem.c_str()) != 1) {
    return fail(file_error("not a PEM certificate chain", certificate_chain_pem));
  }
  if (SSL_CTX_use_PrivateKey_file(raw, private_key_pem.c_str(), SSL_FILETYPE_PEM) != 1) {
    const bool mismatch = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
                          ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH;
    if (!mismatch) return fail(file_error("not a PEM private key", private_key_pem));
  }
  if (SSL_CTX_check_private_key(raw) != 1) {
    ERR_clear_error();
    return fail(Error{Code::invalid_argument, "private key does not match the certificate"}.about(
        PublicText{private_key_pem}));
  }
  return std::make_shared<OpensslServerContext>(std::move(context));
}

Result<std::shared_ptr<TlsClientContext>> TlsClientContext::create(const Options& options) {
  ERR_clear_error();
  SslContext context{SSL_CTX_new(TLS_client_method())};
  if (!context) return fail(setup_error());
  auto* raw = context.get();
  set_common_options(raw);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  const int least = options.allow_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
  if (SSL_CTX_set_min_proto_version(raw, least) != 1 || !set_groups(raw, kClientGroups) ||
      SSL_CTX_set_alpn_protos(raw, kAlpn.data(), kAlpn.size()) != 0) {
    return fail(setup_error());
  }
  if (options.ca_file.empty()) {
    // Honours SSL_CERT_FILE and SSL_CERT_DIR.
    if (SSL_CTX_set_default_verify_paths(raw) != 1) return fail(setup_error());
  } else if (SSL_CTX_load_verify_locations(raw, options.ca_file.c_str(), nullptr) != 1) {
    return fail(file_error("not a PEM file of certificates", options.ca_file));
  }
  return std::make_shared<OpensslClientContext>(std::move(context));
}

}  // namespace tacit::async
