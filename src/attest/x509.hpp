// X.509 certificates and revocation lists (RFC 5280), as far as the vendors of confidential
// hardware use them. Strict DER; every extension kept; unknown critical ones refused when a chain
// is built. Not a general-purpose PKI: no names are matched but issuer to subject, byte by byte,
// and trust begins at keys that are compiled in (roots.hpp), never at a root that evidence brings.
//
// AMD's VCEK and VLEK certificates carry serial number 0, which RFC 5280 forbids and which is
// accepted here. Objects do not change after parsing and may be shared between threads.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attest/der.hpp"
#include "crypto/sign.hpp"

namespace tacit::attest {

inline constexpr std::size_t kCertificateBytesMax = 16 * 1024;
inline constexpr std::size_t kCrlBytesMax = 1024 * 1024;
inline constexpr std::size_t kChainLengthMax = 8;
inline constexpr std::size_t kPemBlocksMax = 64;

struct Extension {
  BytesView oid;    // content bytes of the OBJECT IDENTIFIER
  BytesView value;  // content of the OCTET STRING
  bool critical = false;
};

// Certificate owns its bytes; the views point into them. Make one with parse_certificate.
struct Certificate {
  Bytes der;
  BytesView tbs;
  BytesView serial;  // content of the INTEGER
  BytesView issuer;  // the whole Name
  BytesView subject;
  BytesView spki;
  UnixTime not_before;
  UnixTime not_after;
  std::vector<Extension> extensions;
  crypto::SignatureScheme scheme{};  // with which its issuer signed
  BytesView signature;
  std::optional<crypto::VerifyingKey> key;
  bool is_ca = false;
  std::optional<std::uint64_t> path_length_max;
  std::optional<std::uint16_t> key_usage;  // bit 0 (digitalSignature) is the highest
  // One of roots.hpp, whose signature under another of them was checked when it was added.
  bool is_built_in = false;

  // The last CN of the subject or issuer in printable ASCII, for people and for the roles that
  // vendors express by name.
  std::string common_name() const;
  std::string issuer_common_name() const;
  // The value of the extension whose OID has these content bytes.
  std::optional<BytesView> extension(BytesView oid) const;
  bool may_sign_certificates() const;
  bool may_sign_crls() const;
  bool may_sign_data() const;
};
using CertificatePtr = std::shared_ptr<const Certificate>;

// The built-in certificate of these bytes, or a new one. Errors: malformed, unsupported (key or
// signature algorithm), too_large.
Result<CertificatePtr> parse_certificate(BytesView der);
// Always a new one: for those who make the built-in ones.
Result<std::shared_ptr<Certificate>> parse_new_certificate(BytesView der);

// Crl owns its bytes. Delta and indirect lists are refused.
struct Crl {
  Bytes der;
  BytesView tbs;
  BytesView issuer;
  UnixTime this_update;
  UnixTime next_update;
  std::vector<BytesView> revoked;  // sorted serials (content of INTEGER)
  crypto::SignatureScheme scheme{};
  BytesView signature;

  bool revokes(BytesView serial) const;
  std::string issuer_common_name() const;
};
using CrlPtr = std::shared_ptr<const Crl>;

Result<CrlPtr> parse_crl(BytesView der);

struct PemBlock {
  std::string label;
  Bytes der;
};
// Every block of RFC 7468's strict form; text between blocks is refused. A NUL and blank lines may
// end the text, as Intel's quoting library writes it. Errors: malformed, too_large.
Result<std::vector<PemBlock>> parse_pem(std::string_view text);
// parse_pem, each block a CERTIFICATE. Errors also: malformed for other labels or none.
Result<std::vector<PemBlock>> parse_certificate_blocks(std::string_view pem);
Result<std::vector<CertificatePtr>> parse_certificate_chain(std::string_view pem);

std::string format_time(UnixTime time);  // RFC 3339, "Z"
// RFC 3339 with seconds and "Z". Errors: malformed.
Result<UnixTime> parse_time(std::string_view text);
// `text` cut to 200 bytes with everything but printable ASCII replaced.
std::string printable(std::string_view text);

}  // namespace tacit::attest
