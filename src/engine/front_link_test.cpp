// A worker that has been taken over, played by the test over the link's socket.
#include "engine/front_link.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

namespace tacit::engine {
namespace {

class FrontLinkTest : public testing::Test {
 protected:
  FrontLinkTest() {
    std::signal(SIGPIPE, SIG_IGN);  // as async::Runtime does
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    worker_end_ = UniqueFd{ends[1]};
    link_ = std::make_shared<FrontLink>(io_, UniqueFd{ends[0]}, state_);
    link_->begin();
  }
  ~FrontLinkTest() override {
    link_->close();
    settle();
  }

  void settle() {
    io_.restart();
    io_.poll();
  }
  std::shared_ptr<GenerationState> start() {
    domain::GenerateRequest request;
    request.messages.push_back({domain::Role::user, domain::Content{"hi"}});
    auto started = link_->start(std::move(request), Deadline::never());
    EXPECT_TRUE(started);
    return *started;
  }
  void say(BytesView bytes) {
    while (!bytes.empty()) {
      const auto n = ::write(worker_end_.get(), bytes.data(), bytes.size());
      if (n > 0) bytes = bytes.subspan(static_cast<std::size_t>(n));
      settle();
      if (n < 0) break;
    }
  }
  void say(RequestId id, domain::Event event) {
    say(encode_update({id, std::move(event)}).reveal());
  }
  void say_text(RequestId id, std::string_view text) {
    say(id, domain::TextDelta{domain::Content{text}, 1});
  }

  // The link is gone, the worker given up, and the generation has its one clear error.
  void expect_lost(GenerationState& generation) {
    EXPECT_FALSE(state_->alive);
    EXPECT_EQ(state_->in_flight, 0u);
    ASSERT_FALSE(generation.events.empty());
    const auto* failed = std::get_if<domain::Failed>(&generation.events.back());
    ASSERT_NE(failed, nullptr);
    EXPECT_EQ(failed->error.code(), Code::worker_lost);
    EXPECT_LE(generation.events.size(), kCreditWindow + 2);
    EXPECT_FALSE(link_->start({}, Deadline::never()));
  }

  NullLogger log_;
  asio::io_context io_{1};
  std::shared_ptr<WorkerState> state_ = std::make_shared<WorkerState>(log_);
  UniqueFd worker_end_;
  std::shared_ptr<FrontLink> link_;
};

TEST_F(FrontLinkTest, AGoodWorkerIsHeard) {
  const auto generation = start();
  say(generation->id, domain::Started{3});
  say_text(generation->id, "hello");
  say(generation->id, domain::Finished{});
  EXPECT_EQ(link_->take(*generation).size(), 3u);
  EXPECT_TRUE(generation->ended);
  EXPECT_TRUE(state_->alive);
  EXPECT_EQ(state_->in_flight, 0u);
}

TEST_F(FrontLinkTest, CreditComesBackAsTextIsTaken) {
  const auto generation = start();
  say(generation->id, domain::Started{3});
  for (int round = 0; round < 10; ++round) {
    for (std::uint32_t i = 0; i < kCreditWindow / 2; ++i) say_text(generation->id, "x");
    EXPECT_GE(link_->take(*generation).size(), kCreditWindow / 2);
  }
  EXPECT_TRUE(state_->alive);
  EXPECT_EQ(generation->credit, kCreditWindow);
}

TEST_F(FrontLinkTest, TextWithoutCreditEndsTheWorker) {
  const auto generation = start();
  say(generation->id, domain::Started{3});
  for (std::uint32_t i = 0; i < kCreditWindow; ++i) say_text(generation->id, "x");
  EXPECT_TRUE(state_->alive);
  say_text(generation->id, "one too many");
  expect_lost(*generation);
}

// One offence each, for every offence needs a link of its own.
class FrontLinkOffence : public FrontLinkTest, public testing::WithParamInterface<int> {};

TEST_P(FrontLinkOffence, EndsTheWorker) {
  const auto generation = start();
  const auto id = generation->id;
  switch (GetParam()) {
    case 0: say_text(id, "before the start"); break;
    case 1:
      say(id, domain::Started{});
      say(id, domain::Started{});
      break;
    case 2: say(id + 1, domain::Started{}); break;
    case 3: say(as_bytes(std::string_view{"\x03\0\0\0zzz", 7})); break;
    case 4: say(as_bytes(std::string_view{"\xff\xff\xff\x7f", 4})); break;
    case 5: say(as_bytes(std::string_view{"\0\0\0\0", 4})); break;
    case 6: say(encode_command(Cancel{id}).reveal()); break;
    default: say(encode_notice(StatsReport{}).reveal()); break;
  }
  expect_lost(*generation);
}

INSTANTIATE_TEST_SUITE_P(All, FrontLinkOffence, testing::Range(0, 8));

TEST_F(FrontLinkTest, AnEventAfterTheLastEndsTheWorkerButNotWhatWasSaid) {
  const auto generation = start();
  say(generation->id, domain::Started{});
  say(generation->id, domain::Finished{});
  EXPECT_TRUE(state_->alive);
  say_text(generation->id, "one more");
  EXPECT_FALSE(state_->alive);
  const auto batch = link_->take(*generation);
  ASSERT_EQ(batch.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<domain::Finished>(batch.back()));
}

TEST_F(FrontLinkTest, TheEndOfTheSocketEndsEveryGeneration) {
  const auto first = start();
  const auto second = start();
  say(first->id, domain::Started{});
  worker_end_.reset();
  settle();
  expect_lost(*first);
  expect_lost(*second);
}

TEST_F(FrontLinkTest, WhoGoesAwayIsNotHeardAnyMoreAndLeavesNoCount) {
  const auto generation = start();
  say(generation->id, domain::Started{});
  link_->abandon(*generation);
  say_text(generation->id, "still on the way");
  EXPECT_TRUE(generation->events.empty());
  EXPECT_EQ(state_->in_flight, 1u);
  say(generation->id, domain::Failed{Error{Code::cancelled, "generation cancelled"}});
  EXPECT_EQ(state_->in_flight, 0u);
  EXPECT_TRUE(state_->alive);
}

TEST_F(FrontLinkTest, AWorkerThatDoesNotReadHoldsNobodyUp) {
  std::vector<std::shared_ptr<GenerationState>> generations;
  for (int i = 0; i < 8; ++i) {
    domain::GenerateRequest request;
    request.messages.push_back({domain::Role::user, domain::Content{std::string(300'000, 'x')}});
    auto started = link_->start(std::move(request), Deadline::never());
    ASSERT_TRUE(started);
    generations.push_back(*started);
  }
  settle();
  worker_end_.reset();  // with megabytes still to be written
  settle();
  for (const auto& generation : generations) expect_lost(*generation);
}

}  // namespace
}  // namespace tacit::engine
