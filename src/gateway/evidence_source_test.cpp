// Evidence documents with what vouches for the machine: asked anew for each nonce, bound to the
// statement that is served, refused when the hardware does not answer.
#include "gateway/evidence_source.hpp"

#include <algorithm>
#include <future>

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "core/text.hpp"
#include "gateway/sealed_service.hpp"

namespace tacit::gateway {
namespace {

class FakeSource final : public EvidenceSource {
 public:
  seal::Attester attester() const override { return seal::Attester::tpm; }
  Result<Bytes> bundle(const seal::EvidenceNonce& nonce,
                       const crypto::Sha256Digest& statement) override {
    if (slow.valid()) slow.wait();
    if (broken) return fail(Code::io, "no hardware");
    const auto text = to_hex(nonce) + to_hex(statement);
    const auto bytes = as_bytes(text);
    return Bytes{bytes.begin(), bytes.end()};
  }
  bool broken = false;
  std::shared_future<void> slow;  // if any, no answer before it is there
};

seal::EvidenceNonce filled(unsigned char value) {
  seal::EvidenceNonce out;
  out.fill(std::byte{value});
  return out;
}

class EvidenceSourceTest : public ::testing::Test {
 protected:
  Result<Bytes> ask(const seal::EvidenceNonce& nonce) {
    asio::io_context io{1};
    auto done = asio::co_spawn(io, service_.fresh_evidence(nonce, Deadline::after(Seconds{30})),
                               asio::use_future);
    io.run();
    return done.get();
  }
  ManualClock clock_;
  NullLogger log_;
  FakeSource source_;
  SealedService service_{
      {.identity_file = {}, .software = "test", .replay = {}, .source = &source_},
      seal::Identity::generate(),
      clock_,
      log_};
};

TEST_F(EvidenceSourceTest, BindsTheNonceAndTheStatement) {
  for (const auto value : {static_cast<unsigned char>(1), static_cast<unsigned char>(2)}) {
    const auto document = ask(filled(value));
    ASSERT_TRUE(document) << document.error().explain();
    const auto evidence = seal::open_evidence(*document, filled(value));
    ASSERT_TRUE(evidence) << evidence.error().explain();
    EXPECT_EQ(evidence->statement.attester, seal::Attester::tpm);
    EXPECT_EQ(as_text(evidence->bundle),
              to_hex(filled(value)) + to_hex(evidence->statement_digest));
    EXPECT_EQ(seal::evidence_nonce(*document).value(), filled(value));
  }
}

TEST_F(EvidenceSourceTest, ABundleCannotBeTakenAwayOrFollowed) {
  const auto document = ask(filled(1)).value();
  const auto bare = service_.evidence(filled(1));
  EXPECT_FALSE(seal::open_evidence(bare, filled(1)));
  for (std::size_t size = bare.size(); size < document.size(); ++size)
    EXPECT_FALSE(seal::open_evidence(BytesView{document}.first(size), filled(1)));
  auto longer = document;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(seal::open_evidence(longer, filled(1)));
}

TEST_F(EvidenceSourceTest, LetsSoManyWaitAndNoMore) {
  std::promise<void> go;
  source_.slow = go.get_future().share();
  asio::io_context io{1};
  std::vector<std::future<Result<Bytes>>> all;
  for (unsigned char i = 0; i < 40; ++i)
    all.push_back(asio::co_spawn(
        io, service_.fresh_evidence(filled(i), Deadline::after(Seconds{60})), asio::use_future));
  io.poll();
  const auto is_refused = [](std::future<Result<Bytes>>& one) {
    return one.wait_for(Seconds{0}) == std::future_status::ready;
  };
  EXPECT_EQ(std::ranges::count_if(all, is_refused), 8);
  go.set_value();
  io.run();
  int good = 0;
  for (auto& one : all) {
    const auto document = one.get();
    if (document)
      ++good;
    else
      EXPECT_EQ(document.error().code(), Code::unavailable);
  }
  EXPECT_EQ(good, 32);
}

TEST_F(EvidenceSourceTest, SaysSoWhenTheHardwareDoesNotAnswer) {
  source_.broken = true;
  EXPECT_EQ(ask(filled(1)).error().code(), Code::unavailable);
  source_.broken = false;
  EXPECT_TRUE(ask(filled(1)));
}

}  // namespace
}  // namespace tacit::gateway
