#include "crypto/library.hpp"

#include <gtest/gtest.h>

namespace tacit::crypto {
namespace {

TEST(LibraryInfo, HasPostQuantumKeyExchange) {
  const auto info = library_info();
  EXPECT_NE(info.description.find("OpenSSL"), std::string::npos);
  EXPECT_TRUE(info.ml_kem);
}

}  // namespace
}  // namespace tacit::crypto
