#include "async/tls_testing.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <stdexcept>

namespace tacit::async {

namespace {

template <class T, void (*Free)(T*)> struct Freed {
  void operator()(T* object) const noexcept { Free(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509, X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION, X509_EXTENSION_free>>;
struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

void require(bool ok) {
  if (!ok) throw std::runtime_error{"making a test certificate failed"};
}

void add_extension(X509* certificate, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const Extension extension{X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str())};
  require(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

std::filesystem::path make_folder() {
  std::string path = std::filesystem::temp_directory_path() / "tacit-tls-XXXXXX";
  require(::mkdtemp(path.data()) != nullptr);
  return path;
}

}  // namespace

TestCertificate::TestCertificate(const std::string& host) : folder_{make_folder()} {
  std::string curve = "P-256";
  const Key key{EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve.data())};
  const Certificate certificate{X509_new()};
  require(key != nullptr && certificate != nullptr);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 24L * 3600);
  X509_set_pubkey(certificate.get(), key.get());
  auto* name = X509_get_subject_name(certificate.get());
  const auto* common = reinterpret_cast<const unsigned char*>("tacit test");
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  const bool address = host.find_first_not_of("0123456789.:") == std::string::npos;
  add_extension(certificate.get(), NID_subject_alt_name, (address ? "IP:" : "DNS:") + host);
  add_extension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  require(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);

  const File certificate_out{std::fopen(certificate_file().c_str(), "we")};
  const File key_out{std::fopen(key_file().c_str(), "we")};
  require(certificate_out != nullptr && key_out != nullptr);
  require(PEM_write_X509(certificate_out.get(), certificate.get()) == 1);
  require(PEM_write_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) ==
          1);
}

TestCertificate::~TestCertificate() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

}  // namespace tacit::async
