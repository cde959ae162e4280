// Both ends of the protocol and all of a worker's threads in one process, around a model of paper:
// what a thread sanitizer can look into, unlike a real worker.
#include "engine/engine_loop.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/text.hpp"
#include "engine/front_link.hpp"
#include "engine/worker_links.hpp"

namespace tacit::engine {
namespace {

// Answers "1 " with "1 2 3 4 ..." up to the number of tokens asked for; each slot counts for
// itself.
class CountingModel final : public Model {
 public:
  std::uint64_t size_bytes() const noexcept override { return 1; }
  std::uint32_t num_slots() const override { return 3; }
  std::uint32_t context_tokens_max() const override { return 400; }
  std::uint32_t batch_tokens_max() const override { return 16; }
  bool is_end(Token token) const override { return token == 0; }
  void clear(Slot slot) override { last_.at(slot) = 0; }
  bool can_truncate() const override { return true; }
  bool truncate(Slot, std::uint32_t) override { return true; }
  bool copy(Slot, Slot, std::uint32_t) override { return true; }
  std::string_view piece(Token token) override { return piece_ = std::to_string(token) + " "; }
  Result<std::vector<float>> embed(std::span<const Token> tokens) override {
    return std::vector<float>(3, static_cast<float>(tokens.size()));
  }
  Result<Prompt> prepare(domain::GenerateRequest request) override {
    const auto text = request.messages.at(0).content.reveal();
    if (text == "refuse")
      return fail(Code::invalid_argument, "the model's chat template refused the conversation");
    Prompt prompt;
    prompt.tokens.assign(3, 1);
    prompt.tokens.push_back(static_cast<Token>(*parse_u64(text)));
    prompt.sampler = std::make_unique<Sampler>();
    prompt.max_tokens = request.max_tokens;
    return prompt;
  }
  Result<void> decode(std::span<const BatchEntry> batch) override {
    outputs_.clear();
    for (const auto& entry : batch) {
      last_.at(entry.slot) = entry.token;
      outputs_.push_back(entry.token + 1);
    }
    return {};
  }
  Result<Token> sample(Sampler&, std::size_t index) override { return outputs_.at(index); }
  domain::TokenLogprob logprob(std::size_t, Token token, std::uint32_t) override {
    return {token, {}, 0.0F};
  }

 private:
  std::vector<Token> last_ = std::vector<Token>(3);
  std::vector<Token> outputs_;
  std::string piece_;
};

struct Reader {
  std::shared_ptr<GenerationState> generation;
  std::uint64_t first = 0;
  std::uint32_t max_tokens = 0;
  std::string text;
  bool refused = false;
  bool done = false;
};

class EngineLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);  // as async::Runtime does
    wake_ = UniqueFd{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    auto [control_ours, control_theirs] = pair();
    control_ = std::move(control_ours);
    auto [data_ours, data_theirs] = pair();
    link_ = std::make_shared<FrontLink>(io_, std::move(data_ours), state_);
    link_->begin();
    std::vector<UniqueFd> data;
    data.push_back(std::move(data_theirs));
    worker_ = std::thread{
        [this, control = std::move(control_theirs), sockets = std::move(data)]() mutable {
          const SystemClock clock;
          WorkerLinks links{std::move(control), std::move(sockets), wake_.get(), clock};
          EngineLoop engine{model_,
                            {.waiting_max = 64},
                            [this] {
                              const std::uint64_t one = 1;
                              static_cast<void>(::write(wake_.get(), &one, sizeof one));
                            },
                            clock};
          links.serve(engine);
        }};
  }
  void TearDown() override {
    control_.reset();
    worker_.join();
    link_->close();
    turn();
  }
  static std::pair<UniqueFd, UniqueFd> pair() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
  }
  void turn(Milliseconds wait = Milliseconds{0}) {
    io_.restart();
    io_.run_for(wait);
  }
  Reader start(std::uint64_t first, std::uint32_t max_tokens) {
    domain::GenerateRequest request;
    request.messages.push_back({domain::Role::user, domain::Content{std::to_string(first)}});
    request.max_tokens = max_tokens;
    auto started = link_->start(std::move(request), Deadline::never());
    EXPECT_TRUE(started);
    return {*started, first, max_tokens, {}, false, false};
  }
  void take(Reader& reader) {
    for (auto& event : link_->take(*reader.generation)) {
      if (auto* delta = std::get_if<domain::TextDelta>(&event)) reader.text += delta->text.reveal();
      if (std::holds_alternative<domain::Failed>(event)) reader.refused = true;
      reader.done = reader.done || domain::is_last(event);
    }
  }
  static std::string expected(const Reader& reader) {
    std::string out;
    for (std::uint32_t i = 1; i <= reader.max_tokens; ++i)
      out += std::to_string(reader.first + i) + " ";
    return out;
  }

  NullLogger log_;
  asio::io_context io_{1};
  std::shared_ptr<WorkerState> state_ = std::make_shared<WorkerState>(log_);
  CountingModel model_;
  UniqueFd wake_;
  UniqueFd control_;
  std::shared_ptr<FrontLink> link_;
  std::thread worker_;
};

TEST_F(EngineLoopTest, ManyComeGoAndStallAndNothingIsMixedOrLost) {
  std::mt19937 random{11};
  std::vector<Reader> readers;
  std::size_t started = 0;
  std::size_t finished = 0;
  while (started < 300 || !readers.empty()) {
    while (started < 300 && readers.size() < 40) {
      readers.push_back(start(1000 * ++started, 1 + random() % 200));
    }
    turn(Milliseconds{1});
    ASSERT_TRUE(state_->alive);
    for (auto& reader : readers) {
      if (random() % 3 == 0) take(reader);  // the others stall for a while
      if (random() % 400 == 0 && !reader.done) {
        link_->abandon(*reader.generation);
        reader.refused = reader.done = true;
      }
      if (!reader.done) continue;
      if (!reader.refused) {
        EXPECT_EQ(reader.text, expected(reader));
        ++finished;
      }
      EXPECT_TRUE(expected(reader).starts_with(reader.text));
    }
    std::erase_if(readers, [](const Reader& reader) { return reader.done; });
  }
  for (int i = 0; i < 5000 && state_->in_flight > 0; ++i) turn(Milliseconds{1});
  EXPECT_EQ(state_->in_flight, 0u) << "a request that was abandoned is still held";
  EXPECT_GT(finished, 200u);
}

TEST_F(EngineLoopTest, ARefusalOfTheTemplateIsTheRequestsOwn) {
  domain::GenerateRequest request;
  request.messages.push_back({domain::Role::user, domain::Content{"refuse"}});
  auto generation = *link_->start(std::move(request), Deadline::never());
  Reader good = start(5, 3);
  for (int i = 0; i < 5000 && !(good.done && !generation->events.empty()); ++i) {
    turn(Milliseconds{1});
    take(good);
  }
  EXPECT_EQ(good.text, "6 7 8 ");
  const auto batch = link_->take(*generation);
  ASSERT_EQ(batch.size(), 1u);
  EXPECT_EQ(std::get<domain::Failed>(batch[0]).error.code(), Code::invalid_argument);
}

TEST_F(EngineLoopTest, LoadIsReported) {
  Reader reader = start(5, 390);
  std::optional<StatsReport> busy;
  FrameReader frames{ProtocolLimits::event_frame_bytes_max};
  for (int i = 0; i < 5000 && !busy; ++i) {
    turn(Milliseconds{1});  // nobody takes: the sequence stalls, and is seen
    const auto room = frames.buffer();
    const auto n = ::read(control_.get(), room.data(), room.size());
    if (n > 0) frames.filled(static_cast<std::size_t>(n));
    const auto frame = frames.next();
    ASSERT_TRUE(frame);
    if (!*frame) continue;
    const auto notice = decode_notice(**frame);
    ASSERT_TRUE(notice);
    if (std::get<StatsReport>(*notice).running > 0) busy = std::get<StatsReport>(*notice);
  }
  ASSERT_TRUE(busy);
  EXPECT_EQ(busy->running, 1u);
  EXPECT_GT(busy->kv_cache_usage, 0.0f);
}

}  // namespace
}  // namespace tacit::engine
