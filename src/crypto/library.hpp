// Which cryptographic library this program runs with.
#pragma once

#include <string>

namespace tacit::crypto {

struct LibraryInfo {
  std::string description;  // "OpenSSL 3.5.7 9 Jun 2026"
  bool ml_kem = false;      // ML-KEM-768 (FIPS 203) can be had
};

LibraryInfo library_info();

}  // namespace tacit::crypto
