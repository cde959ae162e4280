// The scheduler against a model that checks every rule of the cache, over thousands of random
// schedules.
#include "engine/scheduler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "core/secret.hpp"
#include "core/text.hpp"

namespace tacit::engine {
namespace {

constexpr Token kEnd = 0;

// What the fake model says next depends on the whole sequence so far, so any token that strays into
// another sequence, is lost or comes twice changes the text from there on.
Token next_token(std::span<const Token> sequence) {
  std::uint64_t hash = 1469598103934665603ull;
  for (const auto token : sequence)
    hash = (hash ^ static_cast<std::uint64_t>(token)) * 1099511628211ull;
  hash ^= hash >> 29;
  return hash % 37 == 0 ? kEnd : static_cast<Token>(1 + hash % 26);
}

std::string piece_of(Token token) { return std::string(1, static_cast<char>('a' + token - 1)); }

using Salt = std::optional<domain::CacheSalt>;

class FakeSampler final : public Sampler {
 public:
  explicit FakeSampler(Salt whose) : salt{whose} {}
  Salt salt;
  std::uint32_t samples = 0;
};

class FakeModel final : public StepModel {
 public:
  FakeModel(std::uint32_t slots, std::uint32_t context, std::uint32_t batch)
      : caches_(slots), context_{context}, batch_max_{batch} {}

  std::uint32_t num_slots() const override { return static_cast<std::uint32_t>(caches_.size()); }
  std::uint32_t context_tokens_max() const override { return context_; }
  std::uint32_t batch_tokens_max() const override { return batch_max_; }
  Result<void> decode(std::span<const BatchEntry> batch) override {
    EXPECT_FALSE(batch.empty());
    EXPECT_LE(batch.size(), batch_max_);
    if (fail_next) {
      fail_next = false;
      return fail(Code::internal, "decoding failed");
    }
    outputs_.clear();
    for (const auto& entry : batch) {
      auto& cache = caches_.at(entry.slot);
      EXPECT_EQ(entry.position, cache.tokens.size()) << "a hole or a repeat in the cache";
      cache.tokens.push_back(entry.token);
      EXPECT_LE(cache.tokens.size(), context_);
      outputs_.push_back(
          {entry.slot, entry.sample ? std::optional{next_token(cache.tokens)} : std::nullopt});
    }
    ++num_decodes;
    num_computed += batch.size();
    last_batch_size = batch.size();
    return {};
  }
  domain::TokenLogprob logprob(std::size_t, Token token, std::uint32_t) override {
    return {token, domain::Content{piece_of(token)}, -1.0F};
  }
  Result<Token> sample(Sampler& sampler, std::size_t index) override {
    auto& fake = static_cast<FakeSampler&>(sampler);
    ++fake.samples;
    const auto& [slot, token] = outputs_.at(index);
    EXPECT_TRUE(token.has_value()) << "no logits were asked for";
    // Whatever this answer rests on was computed for its own tenant, or is its tenant's from now
    // on.
    auto& cache = caches_.at(slot);
    if (cache.owned)
      EXPECT_EQ(cache.owner, fake.salt) << "one tenant's cache was used for another";
    else
      cache.owner = fake.salt;
    cache.owned = true;
    return token.value_or(kEnd);
  }
  void clear(Slot slot) override { caches_.at(slot) = {}; }
  bool can_truncate() const override { return truncates; }
  bool truncate(Slot slot, std::uint32_t tokens) override {
    EXPECT_TRUE(truncates);
    EXPECT_LE(tokens, caches_.at(slot).tokens.size());
    caches_.at(slot).tokens.resize(tokens);
    return true;
  }
  bool copy(Slot from, Slot to, std::uint32_t tokens) override {
    EXPECT_TRUE(caches_.at(to).tokens.empty()) << "a copy over something";
    EXPECT_LE(tokens, caches_.at(from).tokens.size());
    caches_.at(to) = caches_.at(from);
    caches_.at(to).tokens.resize(tokens);
    ++num_copies;
    return true;
  }
  bool is_end(Token token) const override { return token == kEnd; }
  std::string_view piece(Token token) override { return piece_ = piece_of(token); }
  bool all_clear() const {
    return std::ranges::all_of(caches_, [](const auto& cache) { return cache.tokens.empty(); });
  }

  bool fail_next = false;
  bool truncates = true;
  std::uint64_t num_decodes = 0;
  std::uint64_t num_computed = 0;
  std::uint64_t num_copies = 0;
  std::size_t last_batch_size = 0;

 private:
  struct Cache {
    std::vector<Token> tokens;
    bool owned = false;
    Salt owner;
  };
  std::vector<Cache> caches_;
  std::uint32_t context_;
  std::uint32_t batch_max_;
  std::vector<std::pair<Slot, std::optional<Token>>> outputs_;
  std::string piece_;
};

// What a request should say, computed alone.
struct Expected {
  std::string text;
  domain::FinishReason reason = domain::FinishReason::length;
  std::uint32_t completion_tokens = 0;
};
Expected alone(std::vector<Token> tokens, std::optional<std::uint32_t> max_tokens,
               std::uint32_t context, const std::string& stop) {
  Expected out;
  if (max_tokens == 0u) return out;
  for (;;) {
    const auto token = next_token(tokens);
    ++out.completion_tokens;
    if (token == kEnd) {
      out.reason = domain::FinishReason::stop;
      return out;
    }
    tokens.push_back(token);
    out.text += piece_of(token);
    if (const auto at = stop.empty() ? std::string::npos : out.text.find(stop);
        at != std::string::npos) {
      out.text.resize(at);
      out.reason = domain::FinishReason::stop;
      return out;
    }
    if (max_tokens && out.completion_tokens >= *max_tokens) return out;
    if (tokens.size() > context) return out;
  }
}

struct Seen {
  std::string text;
  std::uint32_t deltas = 0;
  std::uint32_t granted = 0;
  bool started = false;
  std::optional<domain::Event> last;
};

class Recorder final : public EventSink {
 public:
  void on_event(RequestKey key, domain::Event event) override {
    auto& seen = by_key[key];
    EXPECT_FALSE(seen.last.has_value()) << "an event after the last one";
    if (std::holds_alternative<domain::Started>(event)) {
      EXPECT_FALSE(seen.started);
      seen.started = true;
    } else if (auto* delta = std::get_if<domain::TextDelta>(&event)) {
      EXPECT_TRUE(seen.started);
      seen.text += delta->text.reveal();
      ++seen.deltas;
      EXPECT_LE(seen.deltas, seen.granted) << "a delta without credit";
    } else if (domain::is_last(event)) {
      seen.last = std::move(event);
    }
  }
  std::map<RequestKey, Seen> by_key;
};

Prompt prompt_of(std::vector<Token> tokens, std::optional<std::uint32_t> max_tokens = {},
                 const std::string& stop = "", Salt salt = {}) {
  Prompt prompt;
  prompt.tokens = std::move(tokens);
  prompt.sampler = std::make_unique<FakeSampler>(salt);
  prompt.cache_salt = salt;
  prompt.max_tokens = max_tokens;
  if (!stop.empty()) prompt.rules.stops.emplace_back(stop);
  return prompt;
}

std::vector<Token> random_tokens(std::mt19937& random, std::size_t n) {
  std::vector<Token> tokens(n);
  for (auto& token : tokens) token = static_cast<Token>(1 + random() % 1000);
  return tokens;
}

struct Client {
  RequestKey key = 0;
  std::vector<Token> tokens;
  std::optional<std::uint32_t> max_tokens;
  std::string stop;
  Salt salt;
  SteadyTime deadline = SteadyTime::max();
  bool cancelled = false;
  bool reads = true;
};

// The most that others of the same tenant can have computed of a client's prompt.
std::uint32_t reusable(const std::vector<Client>& clients, const Client& client) {
  std::uint32_t most = 0;
  for (const auto& other : clients) {
    if (!client.salt || other.salt != client.salt || other.key == client.key) continue;
    auto said = other.tokens;
    for (int i = 0; i < 64; ++i) said.push_back(next_token(said));
    most = std::max(most,
                    common_prefix(said, std::span{client.tokens}.first(client.tokens.size() - 1)));
  }
  return most;
}

// One random life of a scheduler: requests come, read at their own pace, stall, go away.
void random_schedule(std::uint32_t seed) {
  std::mt19937 random{seed};
  const auto slots = 1 + random() % 4;
  const auto context = 8 + random() % 60;
  FakeModel model{static_cast<std::uint32_t>(slots), static_cast<std::uint32_t>(context),
                  static_cast<std::uint32_t>(slots + random() % 12)};
  Recorder recorder;
  Scheduler scheduler{model,
                      recorder,
                      {.waiting_max = 1000,
                       .stall_steps_max = static_cast<std::uint32_t>(random() % 6),
                       .resume_credit_min = static_cast<std::uint32_t>(1 + random() % 8),
                       .copy_tokens_min = static_cast<std::uint32_t>(1 + random() % 8)}};
  model.truncates = random() % 4 != 0;
  const bool salted = random() % 4 != 0;
  ManualClock clock;
  std::vector<Client> clients;
  const std::size_t num_clients = 1 + random() % 12;
  const auto grant = [&](Client& client) {
    auto& seen = recorder.by_key[client.key];
    const auto window = 6u;
    const auto outstanding = seen.granted - seen.deltas;
    if (outstanding >= window) return;
    seen.granted += window - outstanding;
    scheduler.add_credit(client.key, window - outstanding);
  };
  for (int round = 0; round < 100'000; ++round) {
    if (clients.size() < num_clients && random() % 3 == 0) {
      Client client{.key = clients.size() + 1,
                    .tokens = random_tokens(random, 1 + random() % context)};
      if (!clients.empty() && random() % 2 == 0) {  // as another's prompt, of whatever tenant
        const auto& like = clients[random() % clients.size()].tokens;
        const auto n = random() % (std::min(like.size(), client.tokens.size()) + 1);
        std::copy_n(like.begin(), n, client.tokens.begin());
        if (random() % 3 == 0) client.tokens = like;
      }
      if (salted && random() % 8 != 0)
        client.salt = domain::CacheSalt{static_cast<std::uint8_t>(1 + random() % 3)};
      if (random() % 2 == 0) client.max_tokens = static_cast<std::uint32_t>(random() % 20);
      if (random() % 3 == 0)
        client.stop = piece_of(static_cast<Token>(1 + random() % 26)) + piece_of(3);
      client.reads = random() % 4 != 0;
      if (random() % 10 == 0) client.deadline = clock.now() + Milliseconds{random() % 200};
      recorder.by_key[client.key].granted = 6;
      auto prompt = prompt_of(client.tokens, client.max_tokens, client.stop, client.salt);
      prompt.deadline = client.deadline;
      prompt.tenant_weight = static_cast<std::uint32_t>(1 + random() % 3);
      scheduler.submit(client.key, std::move(prompt), 6);
      clients.push_back(std::move(client));
    }
    for (auto& client : clients) {
      if (recorder.by_key[client.key].last) continue;
      if (client.reads && random() % 2 == 0) grant(client);
      if (random() % 200 == 0) client.reads = !client.reads;
      if (random() % 300 == 0) {
        client.cancelled = true;
        scheduler.cancel(client.key);
      }
    }
    clock.advance(Milliseconds{1});
    scheduler.expire(clock.now());
    const bool worked = scheduler.step();
    if (clients.size() == num_clients && scheduler.idle()) break;
    if (!worked && clients.size() == num_clients) {
      for (auto& client : clients) client.reads = true;  // the end: everyone reads on
    }
  }
  ASSERT_TRUE(scheduler.idle()) << "seed " << seed << ": somebody waits for ever";
  EXPECT_TRUE(salted || model.all_clear()) << "seed " << seed << ": a slot was not given back";
  EXPECT_EQ(scheduler.load().running, 0u);
  EXPECT_EQ(scheduler.load().waiting, 0u);
  for (const auto& client : clients) {
    const auto& seen = recorder.by_key[client.key];
    ASSERT_TRUE(seen.last.has_value()) << "seed " << seed;
    const auto expected =
        alone(client.tokens, client.max_tokens, static_cast<std::uint32_t>(context), client.stop);
    if (const auto* finished = std::get_if<domain::Finished>(&*seen.last)) {
      EXPECT_EQ(seen.text, expected.text) << "seed " << seed;
      EXPECT_EQ(finished->reason, expected.reason) << "seed " << seed;
      EXPECT_EQ(finished->usage.completion_tokens, expected.completion_tokens) << "seed " << seed;
      EXPECT_EQ(finished->usage.prompt_tokens, client.tokens.size());
      EXPECT_LE(finished->usage.cached_prompt_tokens, reusable(clients, client)) << "seed " << seed;
    } else {
      const auto code = std::get<domain::Failed>(*seen.last).error.code();
      const bool late = code == Code::deadline_exceeded && client.deadline <= clock.now();
      EXPECT_TRUE(late || (client.cancelled && code == Code::cancelled)) << "seed " << seed;
      EXPECT_TRUE(expected.text.starts_with(seen.text)) << "seed " << seed;
    }
  }
}

// A number from the environment, so that anybody can run more of them, or one again.
std::uint32_t from_environment(const char* name, std::uint32_t otherwise) {
  const char* given = std::getenv(name);
  const auto value = given == nullptr ? std::nullopt : parse_u64(given);
  return value ? static_cast<std::uint32_t>(*value) : otherwise;
}

// TACIT_SCHEDULES=100000 runs that many; TACIT_SCHEDULE_SEED=n begins at that seed.
TEST(Scheduler, RandomSchedulesLoseAndMixNothing) {
  const auto first = from_environment("TACIT_SCHEDULE_SEED", 0);
  const auto num = from_environment("TACIT_SCHEDULES", 3000);
  for (auto seed = first; seed < first + num && !testing::Test::HasFailure(); ++seed)
    random_schedule(seed);
}

// Tenants that always have something in line get tokens by their weights, within the bound of the
// Virtual Token Counter, whatever the sizes of what they send.
void random_competition(std::uint32_t seed) {
  std::mt19937 random{seed};
  const auto slots = static_cast<std::uint32_t>(1 + random() % 4);
  constexpr std::uint32_t kContext = 64;
  FakeModel model{slots, kContext, slots + 16};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {.waiting_max = 10'000}};
  struct Tenant {
    domain::CacheSalt salt;
    std::uint32_t weight;
    std::size_t prompt_max;
    std::vector<RequestKey> open;
    double served = 0;  // tokens
  };
  std::vector<Tenant> tenants;
  for (std::uint8_t i = 0; i < 3; ++i)
    tenants.push_back(
        {{i}, static_cast<std::uint32_t>(1 + random() % 4), 1 + random() % 60, {}, 0});
  RequestKey next = 1;
  for (int step = 0; step < 4000; ++step) {
    for (auto& tenant : tenants) {
      std::erase_if(tenant.open, [&](RequestKey key) {
        const auto& last = recorder.by_key[key].last;
        if (!last) return false;
        const auto& usage = std::get<domain::Finished>(*last).usage;
        tenant.served += usage.prompt_tokens - usage.cached_prompt_tokens + usage.completion_tokens;
        recorder.by_key.erase(key);
        return true;
      });
      while (tenant.open.size() < slots + 2) {
        auto prompt =
            prompt_of(random_tokens(random, 1 + random() % tenant.prompt_max), {}, "", tenant.salt);
        prompt.tenant_weight = tenant.weight;
        recorder.by_key[next].granted = 1000;
        tenant.open.push_back(next);
        scheduler.submit(next++, std::move(prompt), 1000);
      }
    }
    ASSERT_TRUE(scheduler.step());
  }
  // What still runs is not counted here, but was charged: that is what the third part allows for.
  const double bound = 3.0 * slots * (kContext + 1);
  for (const auto& a : tenants) {
    for (const auto& b : tenants) {
      EXPECT_LE(a.served / a.weight - b.served / b.weight, bound) << "seed " << seed;
    }
    EXPECT_GT(a.served, 0) << "seed " << seed;
  }
}

TEST(Scheduler, TenantsGetTheirWeights) {
  for (std::uint32_t seed = 0; seed < 30 && !testing::Test::HasFailure(); ++seed)
    random_competition(seed);
}

TEST(Scheduler, TheSameSeedGivesTheSameSchedule) {
  const auto trace = [] {
    std::mt19937 random{11};
    FakeModel model{2, 40, 8};
    Recorder recorder;
    Scheduler scheduler{model, recorder, {}};
    std::vector<std::uint64_t> steps;
    for (RequestKey key = 1; key <= 20; ++key) {
      recorder.by_key[key].granted = 100;
      const domain::CacheSalt salt{static_cast<std::uint8_t>(random() % 3)};
      scheduler.submit(key, prompt_of(random_tokens(random, 1 + random() % 30), 5, "", salt), 100);
      scheduler.step();
      steps.push_back(model.num_computed);
    }
    while (scheduler.step()) steps.push_back(model.num_computed);
    return steps;
  };
  EXPECT_EQ(trace(), trace());
}

TEST(Scheduler, ADeadlineEndsWhoWaitsAndWhoRuns) {
  FakeModel model{1, 1000, 8};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {}};
  ManualClock clock;
  EXPECT_FALSE(scheduler.next_deadline());
  for (RequestKey key = 1; key <= 3; ++key) {
    recorder.by_key[key].granted = 1000;
    auto prompt = prompt_of(std::vector<Token>(100, 3), 5);
    if (key < 3) prompt.deadline = clock.now() + Milliseconds{10 * key};
    scheduler.submit(key, std::move(prompt), 1000);
  }
  scheduler.step();
  EXPECT_EQ(scheduler.next_deadline(), clock.now() + Milliseconds{10});
  clock.advance(Milliseconds{25});
  scheduler.expire(clock.now());
  for (RequestKey key = 1; key <= 2; ++key) {
    EXPECT_EQ(std::get<domain::Failed>(*recorder.by_key[key].last).error.code(),
              Code::deadline_exceeded);
  }
  EXPECT_TRUE(model.all_clear());
  while (scheduler.step()) {}
  EXPECT_TRUE(std::holds_alternative<domain::Finished>(*recorder.by_key[3].last));
  EXPECT_FALSE(scheduler.next_deadline());
}

TEST(Scheduler, AFloodDoesNotKeepAnotherTenantOut) {
  FakeModel model{1, 100, 8};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {.waiting_max = 5}};
  for (RequestKey key = 1; key <= 7; ++key) recorder.by_key[key].granted = 100;
  for (RequestKey key = 1; key <= 6; ++key)
    scheduler.submit(key, prompt_of({1, 2}, 50, "", domain::CacheSalt{1}), 100);
  scheduler.step();
  scheduler.submit(7, prompt_of({3, 4}, 2, "", domain::CacheSalt{2}), 100);
  EXPECT_FALSE(recorder.by_key[7].last);
  ASSERT_TRUE(recorder.by_key[6].last) << "the newest of the flood makes room";
  EXPECT_EQ(std::get<domain::Failed>(*recorder.by_key[6].last).error.code(), Code::overloaded);
  while (!recorder.by_key[7].last && scheduler.step()) {}
  EXPECT_FALSE(recorder.by_key[3].last) << "and it is not last in line";
}

TEST(Scheduler, APromptTooLongIsRefusedWithBothNumbers) {
  FakeModel model{1, 10, 4};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {}};
  scheduler.submit(1, prompt_of(std::vector<Token>(11, 5)), 4);
  const auto& error = std::get<domain::Failed>(*recorder.by_key[1].last).error;
  EXPECT_EQ(error.code(), Code::context_exceeded);
  EXPECT_EQ(error.value("tokens"), 11);
  EXPECT_EQ(error.value("limit"), 10);
  EXPECT_TRUE(scheduler.idle());
}

TEST(Scheduler, AFullQueueIsRefused) {
  FakeModel model{1, 10, 4};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {.waiting_max = 2}};
  for (RequestKey key = 1; key <= 4; ++key) scheduler.submit(key, prompt_of({1, 2}), 1);
  EXPECT_FALSE(recorder.by_key[3].last);
  ASSERT_TRUE(recorder.by_key[4].last);
  EXPECT_EQ(std::get<domain::Failed>(*recorder.by_key[4].last).error.code(), Code::overloaded);
}

TEST(Scheduler, AStalledReaderHoldsNobodyUp) {
  FakeModel model{1, 64, 8};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {}};
  recorder.by_key[1].granted = 1;
  recorder.by_key[2].granted = 100;
  scheduler.submit(1, prompt_of({7, 8, 9}, 30), 1);
  while (scheduler.step()) {}
  EXPECT_EQ(recorder.by_key[1].deltas, 1u);
  scheduler.submit(2, prompt_of({4, 5}, 30),
                   100);  // the one slot is held by a reader that does not read
  while (scheduler.step()) {}
  EXPECT_TRUE(recorder.by_key[2].last);
  EXPECT_EQ(recorder.by_key[2].text, alone({4, 5}, 30, 64, "").text);
  recorder.by_key[1].granted = 101;
  scheduler.add_credit(1, 100);  // it reads again, and goes on where it was
  while (scheduler.step()) {}
  EXPECT_EQ(recorder.by_key[1].text, alone({7, 8, 9}, 30, 64, "").text);
  EXPECT_TRUE(scheduler.idle());
}

TEST(Scheduler, CancelFreesTheSlotBeforeTheNextBatch) {
  FakeModel model{1, 1000, 8};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {}};
  recorder.by_key[1].granted = 1000;
  recorder.by_key[2].granted = 1000;
  scheduler.submit(1, prompt_of(std::vector<Token>(500, 3)), 1000);
  EXPECT_TRUE(scheduler.step());
  scheduler.cancel(1);
  EXPECT_TRUE(model.all_clear());
  EXPECT_FALSE(scheduler.step());
  EXPECT_EQ(std::get<domain::Failed>(*recorder.by_key[1].last).error.code(), Code::cancelled);
  scheduler.cancel(1);  // again, and unknown: ignored
}

TEST(Scheduler, AFailedBatchEndsItsRequestsAndNoOthers) {
  FakeModel model{2, 64, 8};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {}};
  for (RequestKey key = 1; key <= 3; ++key) {
    recorder.by_key[key].granted = 100;
    scheduler.submit(key, prompt_of({static_cast<Token>(key), 2, 3}, 5), 100);
  }
  model.fail_next = true;
  EXPECT_TRUE(scheduler.step());
  EXPECT_EQ(std::get<domain::Failed>(*recorder.by_key[1].last).error.code(), Code::internal);
  EXPECT_EQ(std::get<domain::Failed>(*recorder.by_key[2].last).error.code(), Code::internal);
  while (scheduler.step()) {}
  EXPECT_TRUE(std::holds_alternative<domain::Finished>(*recorder.by_key[3].last));
  EXPECT_TRUE(model.all_clear());
}

TEST(Scheduler, APromptBesideAnswersComesInSmallPieces) {
  FakeModel model{2, 1000, 512};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {.prompt_tokens_beside_answers_max = 8}};
  recorder.by_key[1].granted = 1000;
  recorder.by_key[2].granted = 1000;
  scheduler.submit(1, prompt_of(std::vector<Token>(300, 2), 40), 1000);
  EXPECT_TRUE(scheduler.step());
  EXPECT_EQ(model.last_batch_size, 300u) << "nobody waits, so it is taken as a whole";
  scheduler.submit(2, prompt_of(std::vector<Token>(600, 3), 1), 1000);
  while (scheduler.step() && !recorder.by_key[1].last) {
    EXPECT_LE(model.last_batch_size, 1u + 8u);
  }
  while (scheduler.step()) {}
  EXPECT_EQ(recorder.by_key[2].text, alone(std::vector<Token>(600, 3), 1, 1000, "").text);
}

TEST(Scheduler, LongPromptsShareTheBatchWithThoseThatGenerate) {
  FakeModel model{2, 1000, 16};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {}};
  recorder.by_key[1].granted = 1000;
  recorder.by_key[2].granted = 1000;
  scheduler.submit(1, prompt_of({2, 3}, 40), 1000);
  EXPECT_TRUE(scheduler.step());
  scheduler.submit(2, prompt_of(std::vector<Token>(600, 3), 1), 1000);
  const auto before = recorder.by_key[1].deltas;
  for (int i = 0; i < 10; ++i) scheduler.step();
  const bool ended = recorder.by_key[1].last.has_value();
  EXPECT_TRUE(ended || recorder.by_key[1].deltas == before + 10)
      << "a prefill held up a running answer";
}

constexpr domain::CacheSalt kAnna{1};
constexpr domain::CacheSalt kBen{2};

struct Cached {
  std::uint64_t computed = 0;  // by the model, in all
  domain::Usage usage;
};
// Runs a request to its end, alone.
Cached ask(Scheduler& scheduler, FakeModel& model, Recorder& recorder, RequestKey key,
           std::vector<Token> tokens, Salt salt) {
  const auto before = model.num_computed;
  recorder.by_key[key].granted = 100;
  scheduler.submit(key, prompt_of(std::move(tokens), 1, "", salt), 100);
  while (scheduler.step()) {}
  return {model.num_computed - before,
          std::get<domain::Finished>(*recorder.by_key[key].last).usage};
}

TEST(SchedulerCache, ATenantComputesItsPrefixOnce) {
  FakeModel model{4, 2000, 512};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {}};
  std::mt19937 random{3};
  auto prompt = random_tokens(random, 1500);
  EXPECT_EQ(ask(scheduler, model, recorder, 1, prompt, kAnna).computed, 1500u);
  prompt.push_back(7);
  const auto again = ask(scheduler, model, recorder, 2, prompt, kAnna);
  EXPECT_EQ(again.computed, 1u);
  EXPECT_EQ(again.usage.cached_prompt_tokens, 1500u);
  EXPECT_EQ(again.usage.prompt_tokens, 1501u);
}

TEST(SchedulerCache, NobodyElseGetsIt) {
  FakeModel model{4, 2000, 512};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {}};
  std::mt19937 random{3};
  const auto prompt = random_tokens(random, 1500);
  ask(scheduler, model, recorder, 1, prompt, kAnna);
  RequestKey key = 2;
  for (const Salt salt : {Salt{kBen}, Salt{}, Salt{}}) {
    const auto other = ask(scheduler, model, recorder, key++, prompt, salt);
    EXPECT_EQ(other.computed, 1500u);
    EXPECT_EQ(other.usage.cached_prompt_tokens, 0u);
  }
  EXPECT_EQ(ask(scheduler, model, recorder, key, prompt, kAnna).computed, 1u) << "and it is kept";
}

TEST(SchedulerCache, ChoicesOfOneRequestShareOnePrefill) {
  FakeModel model{8, 2000, 512};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {}};
  std::mt19937 random{3};
  const auto prompt = random_tokens(random, 1000);
  for (RequestKey key = 1; key <= 6; ++key) {
    recorder.by_key[key].granted = 100;
    scheduler.submit(key, prompt_of(prompt, 5, "", kAnna), 100);
  }
  while (scheduler.step()) {}
  EXPECT_EQ(model.num_copies, 5u);
  EXPECT_LE(model.num_computed, 1000u + 6 * 6);
  for (RequestKey key = 1; key <= 6; ++key)
    EXPECT_EQ(recorder.by_key[key].text, alone(prompt, 5, 2000, "").text);
}

TEST(SchedulerCache, AFollowerWhoseLeaderIsCancelledGoesOnWithWhatItLeft) {
  FakeModel model{2, 2000, 100};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {}};
  std::mt19937 random{3};
  const auto prompt = random_tokens(random, 1000);
  for (RequestKey key = 1; key <= 2; ++key) {
    recorder.by_key[key].granted = 100;
    scheduler.submit(key, prompt_of(prompt, 5, "", kAnna), 100);
  }
  for (int i = 0; i < 5; ++i) scheduler.step();
  scheduler.cancel(1);
  while (scheduler.step()) {}
  EXPECT_EQ(recorder.by_key[2].text, alone(prompt, 5, 2000, "").text);
  EXPECT_LE(model.num_computed, 1000u + 6);
}

TEST(SchedulerCache, ASharedBeginningSurvivesTheConversationsThatBeginWithIt) {
  FakeModel model{3, 2000, 512};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {}};
  std::mt19937 random{3};
  const auto beginning = random_tokens(random, 500);
  const auto with = [&](std::size_t n) {
    auto prompt = beginning;
    const auto more = random_tokens(random, n);
    prompt.insert(prompt.end(), more.begin(), more.end());
    return prompt;
  };
  const auto first = with(300);
  const auto second = with(300);
  ask(scheduler, model, recorder, 1, first, kAnna);
  EXPECT_EQ(ask(scheduler, model, recorder, 2, second, kAnna).computed, 300u);
  EXPECT_EQ(ask(scheduler, model, recorder, 3, first, kAnna).computed, 1u);
  EXPECT_EQ(ask(scheduler, model, recorder, 4, second, kAnna).computed, 1u);
}

TEST(SchedulerCache, WhatAFailedBatchLeftIsNotUsed) {
  FakeModel model{1, 2000, 512};
  Recorder recorder;
  Scheduler scheduler{model, recorder, {}};
  recorder.by_key[1].granted = 100;
  scheduler.submit(1, prompt_of({1, 2, 3}, 5, "", kAnna), 100);
  model.fail_next = true;
  scheduler.step();
  EXPECT_TRUE(model.all_clear());
  EXPECT_EQ(ask(scheduler, model, recorder, 2, {1, 2, 3}, kAnna).usage.cached_prompt_tokens, 0u);
}

}  // namespace
}  // namespace tacit::engine
