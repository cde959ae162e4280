// For tests of any module: a throw-away certificate.
#pragma once

#include <filesystem>
#include <string>

namespace tacit::async {

// TestCertificate is a self-signed P-256 certificate for `host` (a name or an IP address), valid
// for a day, in a temporary folder of its own that goes away with the object.
class TestCertificate {
 public:
  explicit TestCertificate(const std::string& host);
  ~TestCertificate();
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;

  std::string certificate_file() const { return folder_ / "certificate.pem"; }
  std::string key_file() const { return folder_ / "key.pem"; }

 private:
  std::filesystem::path folder_;
};

}  // namespace tacit::async
