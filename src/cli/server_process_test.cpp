#include "cli/server_process.hpp"

#include <gtest/gtest.h>

namespace tacit::cli {
namespace {

TEST(IsLoopbackHost, KnowsThisMachine) {
  for (const auto* host : {"localhost", "127.0.0.1", "127.9.9.9", "::1"})
    EXPECT_TRUE(is_loopback_host(host)) << host;
  for (const auto* host :
       {"0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.example.org", ""}) {
    EXPECT_FALSE(is_loopback_host(host)) << host;
  }
}

TEST(CheckExposure, BeyondThisMachineNeedsTlsOrTheWords) {
  ServeOptions options;
  EXPECT_TRUE(check_exposure(options));
  options.host = "0.0.0.0";
  const auto refused = check_exposure(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::forbidden);
  EXPECT_NE(refused.error().fix().find("--insecure-plain-http"), std::string_view::npos);
  options.insecure_plain_http = true;
  EXPECT_TRUE(check_exposure(options));
  options.insecure_plain_http = false;
  options.tls_certificate = "c.pem";
  EXPECT_FALSE(check_exposure(options)) << "a certificate without its key";
  options.tls_key = "k.pem";
  EXPECT_TRUE(check_exposure(options));
}

}  // namespace
}  // namespace tacit::cli
