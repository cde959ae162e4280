// The TPM path against swtpm, a TPM 2.0 in software; skipped, saying so, where that is missing.
#include "attester/tpm.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>

#include "attest/tpm_quote.hpp"
#include "attester/maker.hpp"
#include "core/text.hpp"
#include "core/unique_fd.hpp"

namespace tacit::attester {
namespace {

Digest32 filled(unsigned char value) {
  Digest32 out;
  out.fill(std::byte{value});
  return out;
}

// A port whose successor is free, too: swtpm's library wants the two side by side.
std::uint16_t free_pair() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::array<UniqueFd, 2> held;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    held[0] = UniqueFd{::socket(AF_INET, SOCK_STREAM, 0)};
    held[1] = UniqueFd{::socket(AF_INET, SOCK_STREAM, 0)};
    socklen_t size = sizeof address;
    if (::bind(held[0].get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(held[0].get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
      continue;
    const auto port = ntohs(address.sin_port);
    if (port == 65535) continue;
    address.sin_port = htons(static_cast<std::uint16_t>(port + 1));
    if (::bind(held[1].get(), reinterpret_cast<sockaddr*>(&address), size) == 0) return port;
  }
  return 0;
}

class SoftwareTpm : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::access("/usr/bin/swtpm", X_OK) != 0)
      GTEST_SKIP() << "SKIPPED: swtpm is not installed (apt-get install swtpm)";
    folder_ = std::filesystem::temp_directory_path() / ("tacit_tpm_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    const auto port = free_pair();
    const auto state = "dir=" + folder_.string();
    const auto server = "type=tcp,disconnect,port=" + std::to_string(port);
    const auto control = "type=tcp,port=" + std::to_string(port + 1);
    std::array<const char*, 12> arguments{"swtpm",
                                          "socket",
                                          "--tpm2",
                                          "--tpmstate",
                                          state.c_str(),
                                          "--server",
                                          server.c_str(),
                                          "--ctrl",
                                          control.c_str(),
                                          "--flags",
                                          "not-need-init,startup-clear",
                                          nullptr};
    ASSERT_EQ(::posix_spawn(&pid_, "/usr/bin/swtpm", nullptr, nullptr,
                            const_cast<char* const*>(arguments.data()), environ),
              0);
    options_.tcti = "swtpm:host=127.0.0.1,port=" + std::to_string(port);
    options_.event_log = folder_ / "log";
    for (int i = 0; i < 600; ++i) {  // until it listens
      auto opened = open_tpm(options_);
      if (opened) return;
      if (opened.error().code() == Code::not_found)
        GTEST_SKIP() << "SKIPPED: " << opened.error().explain();
      std::this_thread::sleep_for(Milliseconds{50});
    }
    FAIL() << "swtpm does not answer";
  }
  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGTERM);
      ::waitpid(pid_, nullptr, 0);
    }
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  TpmOptions options_;
  std::filesystem::path folder_;
  pid_t pid_ = 0;
};

TEST_F(SoftwareTpm, QuotesWithAKeyThatStays) {
  std::ofstream{options_.event_log} << "measured";
  auto first = open_tpm(options_);
  ASSERT_TRUE(first) << first.error().explain();
  EXPECT_FALSE((*first)->certified());
  const auto key = (*first)->key();
  const auto attested = (*first)->attest(filled(7));
  ASSERT_TRUE(attested) << attested.error().explain();
  ASSERT_EQ(attested->event_logs.size(), 1U);
  const auto text = std::string{as_text(attested->evidence)};
  const auto value = [&](std::string_view name) {
    const auto from = text.find('"' + std::string{name} + "\":\"") + name.size() + 4;
    return from_hex(text.substr(from, text.find('"', from) - from)).value();
  };
  const auto message = value("message");
  const auto quote = attest::parse_tpm_quote(message).value();
  EXPECT_TRUE(std::ranges::equal(quote.extra_data, filled(7)));
  EXPECT_TRUE(attest::verify_tpm_quote(quote, value("signature"), key));
  ASSERT_EQ(quote.selections.size(), 1U);
  EXPECT_EQ(quote.selections[0].pcrs.size(), 16U);
  first->reset();
  auto second = open_tpm(options_);
  ASSERT_TRUE(second) << second.error().explain();
  EXPECT_TRUE((*second)->key() == key);
}

TEST_F(SoftwareTpm, IsNotChosenUnlessCertified) {
  FindOptions find{.choice = Choice::tpm, .tsm = {folder_, "absent/absent", {}}, .tpm = options_};
  EXPECT_EQ(find_attester(find).error().code(), Code::not_found);
  find.choice = Choice::automatic;
  EXPECT_EQ(find_attester(find).value(), nullptr);
  find.tpm.certificate = folder_ / "ak.pem";
  std::ofstream{find.tpm.certificate} << "a certificate";
  const auto found = find_attester(find);
  ASSERT_TRUE(found) << found.error().explain();
  ASSERT_NE(*found, nullptr);
  const auto attested = (*found)->attest(filled(1));
  ASSERT_TRUE(attested) << attested.error().explain();
  EXPECT_EQ(as_text(attested->collateral.at(0)), "a certificate");
}

}  // namespace
}  // namespace tacit::attester
