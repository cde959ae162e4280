// Intel's quotes: SGX (version 3, 4, 5) and TDX (version 4, 5), ECDSA on P-256.
// Layout: "Intel TDX DCAP Quoting Library API", appendix A; "SGX ECDSA Quote Library API",
// appendix A.4. Views point into the bytes that were parsed.
#pragma once

#include <cstdint>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::attest {

enum class QuoteBody : std::uint8_t { sgx, td10, td15 };

// SgxReport is a report body of 384 bytes.
struct SgxReport {
  BytesView whole;
  BytesView cpu_svn;      // 16
  BytesView misc_select;  // 4
  BytesView attributes;   // 16
  BytesView mr_enclave;   // 32
  BytesView mr_signer;    // 32
  std::uint16_t isv_prod_id = 0;
  std::uint16_t isv_svn = 0;
  BytesView report_data;  // 64
};

// TdReport is the body of a TD quote.
struct TdReport {
  BytesView tee_tcb_svn;      // 16
  BytesView mr_seam;          // 48
  BytesView mr_signer_seam;   // 48
  BytesView seam_attributes;  // 8
  BytesView td_attributes;    // 8
  BytesView xfam;             // 8
  BytesView mr_td;            // 48
  BytesView mr_config_id;
  BytesView mr_owner;
  BytesView mr_owner_config;
  BytesView rtmr[4];
  BytesView report_data;   // 64
  BytesView tee_tcb_svn2;  // of TD 1.5; empty for TD 1.0
  BytesView mr_service_td;
};

struct IntelQuote {
  std::uint16_t version = 0;
  QuoteBody body = QuoteBody::sgx;
  BytesView qe_vendor_id;     // 16
  BytesView signed_part;      // header and body
  SgxReport enclave;          // of an SGX quote
  TdReport td;                // of a TDX quote
  BytesView signature;        // r || s
  BytesView attestation_key;  // x || y
  SgxReport qe_report;
  BytesView qe_report_signature;
  BytesView qe_auth_data;
  BytesView certificates;  // PEM chain, leaf first
  std::size_t size = 0;    // bytes of the quote itself; what follows is all zero
};

// Whether the bytes begin as a quote does.
bool is_intel_quote(BytesView bytes) noexcept;
// Bytes after the quote must be zero. Errors: malformed, unsupported.
Result<IntelQuote> parse_intel_quote(BytesView bytes);

}  // namespace tacit::attest
