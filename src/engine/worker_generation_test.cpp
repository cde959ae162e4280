// What a request can ask for beyond text, with a real worker and a tiny real model: tools, schemas,
// grammars, log-probabilities, tokens, embeddings.
#include <cmath>
#include <map>

#include "engine/engine_testing.hpp"

namespace tacit::engine {
namespace {

using testing_support::Answer;
using testing_support::WorkerTest;

struct Call {
  std::string id;
  std::string name;
  std::string arguments;
};

// Everything that came of one request.
struct Outcome {
  std::string text;
  std::string reasoning;
  std::map<std::uint32_t, Call> calls;
  std::vector<domain::TokenLogprob> logprobs;
  std::vector<std::int32_t> tokens;
  std::vector<float> vector;
  std::uint32_t num_tokens = 0;
  std::optional<domain::Finished> finished;
  std::optional<Error> failed;
};

void note_event(Outcome& out, domain::Event& event) {
  if (auto* text = std::get_if<domain::TextDelta>(&event)) {
    out.text += text->text.reveal();
    out.num_tokens += text->num_tokens;
    for (auto& each : text->logprobs) out.logprobs.push_back(std::move(each));
  }
  if (auto* reasoning = std::get_if<domain::ReasoningDelta>(&event))
    out.reasoning += reasoning->text.reveal();
  if (auto* call = std::get_if<domain::ToolCallDelta>(&event)) {
    auto& into = out.calls[call->index];
    into.id += call->id;
    into.name += call->name;
    into.arguments += call->arguments.reveal();
  }
  if (auto* tokens = std::get_if<domain::TokensDelta>(&event))
    out.tokens.insert(out.tokens.end(), tokens->tokens.begin(), tokens->tokens.end());
  if (auto* vector = std::get_if<domain::VectorDelta>(&event))
    out.vector.insert(out.vector.end(), vector->values.begin(), vector->values.end());
  if (auto* finished = std::get_if<domain::Finished>(&event)) out.finished = *finished;
  if (auto* failed = std::get_if<domain::Failed>(&event)) out.failed = failed->error;
}

Task<Outcome> collect(std::shared_ptr<domain::Backend> backend, domain::GenerateRequest request) {
  Outcome out;
  auto generation = co_await backend->generate(std::move(request), Deadline::after(Seconds{30}));
  if (!generation) {
    out.failed = generation.error();
    co_return out;
  }
  while (!out.finished && !out.failed) {
    auto batch = co_await (*generation)->next(Deadline::after(Seconds{120}));
    if (!batch) {
      out.failed = batch.error();
      break;
    }
    for (auto& event : *batch) note_event(out, event);
  }
  co_return out;
}

class WorkerGenerationTest : public WorkerTest {
 protected:
  void SetUp() override {
    WorkerTest::SetUp();
    if (!IsSkipped()) worker_ = start();
  }
  Outcome wish(domain::GenerateRequest request) {
    auto out = run(collect(worker_->backend(0), std::move(request)));
    if (out.failed) ADD_FAILURE() << out.failed->message();
    return out;
  }
  Error refusal(domain::GenerateRequest request) {
    auto out = run(collect(worker_->backend(0), std::move(request)));
    EXPECT_TRUE(out.failed);
    return out.failed ? *out.failed : Error{Code::internal, "answered"};
  }
  static domain::GenerateRequest with_tools(domain::ToolChoice choice) {
    auto out = request("What is the weather?", 120);
    out.tools.push_back({"get_weather", domain::Content{"Weather of a city."},
                         domain::Content{R"({"type":"object","properties":{"metric":{"type":)"
                                         R"("boolean"}},"required":["metric"]})"}});
    out.tools.push_back({"add", domain::Content{"Adds."},
                         domain::Content{R"({"type":"object","properties":{"a":{"enum":[1,2]}},)"
                                         R"("required":["a"]})"}});
    out.tool_choice = std::move(choice);
    return out;
  }
  std::shared_ptr<Worker> worker_;
};

TEST_F(WorkerGenerationTest, ARequiredToolIsCalledWithArgumentsThatFollowItsSchema) {
  for (const auto* name : {"get_weather", "add"}) {
    const auto out = wish(with_tools({domain::ToolUse::required, name, false}));
    ASSERT_TRUE(out.finished);
    EXPECT_EQ(out.finished->reason, domain::FinishReason::tool_calls) << out.text;
    ASSERT_EQ(out.calls.size(), 1u) << out.text;
    EXPECT_EQ(out.calls.at(0).name, name);
    EXPECT_FALSE(out.calls.at(0).id.empty());
    EXPECT_TRUE(out.calls.at(0).arguments.find(
                    name == std::string{"add"} ? "\"a\"" : "\"metric\"") != std::string::npos)
        << out.calls.at(0).arguments;
  }
}

// With the real cache: what a prefix's owner gets, what others get, and what copies are worth.
TEST_F(WorkerGenerationTest, APrefixIsReusedByItsTenantAlone) {
  std::string long_text;
  for (int i = 0; i < 40; ++i) long_text += "Once there was a cat. ";
  const auto asked_by = [&](std::optional<domain::CacheSalt> salt) {
    auto out = request(long_text, 16);
    out.cache_salt = salt;
    return wish(std::move(out));
  };
  constexpr domain::CacheSalt kAnna{1};
  constexpr domain::CacheSalt kBen{2};
  const auto cached = [](const Outcome& out) { return out.finished->usage.cached_prompt_tokens; };
  const auto cold = asked_by(kAnna);
  const auto prompt_tokens = cold.finished->usage.prompt_tokens;
  EXPECT_EQ(cached(cold), 0u);
  const auto warm = asked_by(kAnna);
  EXPECT_EQ(cached(warm), prompt_tokens - 1);
  EXPECT_EQ(warm.text, cold.text);
  EXPECT_EQ(cached(asked_by(kBen)), 0u);
  EXPECT_EQ(cached(asked_by(std::nullopt)), 0u);
  EXPECT_EQ(cached(asked_by(std::nullopt)), 0u) << "without a salt nothing is kept";
  EXPECT_EQ(asked_by(kBen).text, cold.text);
}

Task<std::vector<Outcome>> collect_all(std::shared_ptr<domain::Backend> backend,
                                       std::vector<domain::GenerateRequest> requests) {
  const auto deadline = Deadline::after(Seconds{120});
  std::vector<std::unique_ptr<domain::Generation>> generations;
  for (auto& each : requests) {
    auto generation = co_await backend->generate(std::move(each), deadline);
    if (generation) generations.push_back(std::move(*generation));
  }
  std::vector<Outcome> outcomes(generations.size());
  for (std::size_t i = 0; i < generations.size(); ++i) {
    auto& out = outcomes[i];
    while (!out.finished && !out.failed) {
      auto batch = co_await generations[i]->next(deadline);
      if (!batch) out.failed = batch.error();
      if (!batch) break;
      for (auto& event : *batch) note_event(out, event);
    }
  }
  co_return outcomes;
}

TEST_F(WorkerGenerationTest, ChoicesOfOnePromptAreTheSameAsOneAlone) {
  std::string long_text;
  for (int i = 0; i < 40; ++i) long_text += "Once there was a dog. ";
  const auto alone = wish(request(long_text, 16));
  std::vector<domain::GenerateRequest> requests;
  for (int i = 0; i < 4; ++i) {
    requests.push_back(request(long_text, 16));
    requests.back().cache_salt = domain::CacheSalt{7};
  }
  const auto choices = run(collect_all(worker_->backend(0), std::move(requests)));
  ASSERT_EQ(choices.size(), 4u);
  for (const auto& choice : choices) {
    EXPECT_EQ(choice.text, alone.text);
  }
}

TEST_F(WorkerGenerationTest, ForbiddenToolsAreNotCalled) {
  const auto out = wish(with_tools({domain::ToolUse::none, "", true}));
  EXPECT_TRUE(out.calls.empty());
  EXPECT_FALSE(out.text.empty());
}

TEST_F(WorkerGenerationTest, ASchemaIsFollowed) {
  auto request_ = request("Give me JSON.", 200);
  request_.constraint = {
      domain::Constraint::Kind::json_schema,
      domain::Content{
          R"({"type":"object","properties":{"ok":{"type":"boolean"},"n":{"enum":[1,2]}},)"
          R"("required":["ok","n"],"additionalProperties":false})"}};
  for (std::uint32_t seed = 0; seed < 5; ++seed) {
    auto each = request_.clone();
    each.sampling = {.temperature = 1.2f, .seed = seed};
    const auto out = wish(std::move(each));
    ASSERT_TRUE(out.finished);
    EXPECT_EQ(out.finished->reason, domain::FinishReason::stop);
    const auto squeezed = [&] {
      std::string s;
      for (const char c : out.text)
        if (c != ' ' && c != '\n') s += c;
      return s;
    }();
    EXPECT_TRUE(squeezed == R"({"ok":true,"n":1})" || squeezed == R"({"ok":true,"n":2})" ||
                squeezed == R"({"ok":false,"n":1})" || squeezed == R"({"ok":false,"n":2})")
        << out.text;
  }
}

TEST_F(WorkerGenerationTest, AGrammarIsFollowedAndABadOneRefused) {
  auto good = request("Yes or no?", 20);
  good.constraint = {domain::Constraint::Kind::grammar,
                     domain::Content{R"(root ::= "yes" | "no")"}};
  const auto out = wish(std::move(good));
  EXPECT_TRUE(out.text == "yes" || out.text == "no") << out.text;
  const std::vector<std::string> bad_ones{"root ::= nothing", "%llguidance {}",
                                          "root ::= " + std::string(5000, '('), "(("};
  for (const auto& bad : bad_ones) {
    auto request_ = request("x", 5);
    request_.constraint = {domain::Constraint::Kind::grammar, domain::Content{bad}};
    EXPECT_EQ(refusal(std::move(request_)).code(), Code::invalid_argument) << bad.substr(0, 20);
  }
  auto schema = request("x", 5);
  schema.constraint = {domain::Constraint::Kind::json_schema,
                       domain::Content{R"({"type":"no such type"})"}};
  EXPECT_EQ(refusal(std::move(schema)).code(), Code::invalid_argument);
  EXPECT_FALSE(wish(request("Once upon a time", 5)).text.empty()) << "the worker lives on";
}

TEST_F(WorkerGenerationTest, LogprobsBelongToTheTokensAndAddUp) {
  auto request_ = request("Once upon a time", 24);
  request_.logprobs = 5;
  const auto out = wish(std::move(request_));
  EXPECT_EQ(out.logprobs.size(), 24u);
  std::string text;
  for (const auto& each : out.logprobs) {
    text += each.bytes.reveal();
    ASSERT_EQ(each.top.size(), 5u);
    EXPECT_EQ(each.top[0].token, each.token) << "greedy takes the most likely";
    float before = 0;
    double sum = 0;
    for (const auto& top : each.top) {
      EXPECT_LE(top.logprob, before);
      before = top.logprob;
      sum += std::exp(static_cast<double>(top.logprob));
    }
    EXPECT_LE(sum, 1.0 + 1e-6);
  }
  EXPECT_EQ(text, out.text);
  EXPECT_EQ(out.text, wish(request("Once upon a time", 24)).text);
}

TEST_F(WorkerGenerationTest, ABiasForbidsATokenAndAnUnknownOneIsRefused) {
  auto first = request("Once upon a time", 1);
  first.logprobs = 0;
  const auto token = wish(std::move(first)).logprobs.at(0).token;
  auto biased = request("Once upon a time", 1);
  biased.logprobs = 0;
  biased.logit_bias.push_back({token, -100.0f});
  EXPECT_NE(wish(std::move(biased)).logprobs.at(0).token, token);
  auto unknown = request("x", 1);
  unknown.logit_bias.push_back({1'000'000, 1.0f});
  EXPECT_EQ(refusal(std::move(unknown)).code(), Code::invalid_argument);
}

TEST_F(WorkerGenerationTest, TheStopTextThatWasMetIsNamed) {
  const auto whole = wish(request("Once upon a time", 40)).text;
  auto request_ = request("Once upon a time", 40);
  request_.stop.emplace_back("no such text");
  request_.stop.emplace_back(whole.substr(8, 5));
  const auto out = wish(std::move(request_));
  EXPECT_EQ(out.finished->stop_index, 1u);
}

TEST_F(WorkerGenerationTest, TokensOfATextComeBackAsTheText) {
  domain::GenerateRequest request_;
  request_.purpose = domain::Purpose::tokenize;
  request_.text = domain::Content{"Once upon a time, there was a cat."};
  request_.add_start_token = false;
  const auto out = wish(std::move(request_));
  ASSERT_GT(out.tokens.size(), 3u);
  EXPECT_EQ(out.finished->usage.prompt_tokens, out.tokens.size());
  domain::GenerateRequest back;
  back.purpose = domain::Purpose::render;
  back.tokens = out.tokens;
  EXPECT_EQ(wish(std::move(back)).text, "Once upon a time, there was a cat.");
}

TEST_F(WorkerGenerationTest, RenderingAndCountingAgreeWithGenerating) {
  auto render = request("Hello <s> there", 1);
  render.purpose = domain::Purpose::render;
  EXPECT_NE(wish(std::move(render)).text.find("Hello <s> there"), std::string::npos);
  auto count = request("Hello there", 1);
  count.purpose = domain::Purpose::count;
  EXPECT_EQ(wish(std::move(count)).finished->usage.prompt_tokens,
            wish(request("Hello there", 1)).finished->usage.prompt_tokens);
  domain::GenerateRequest raw;
  raw.text = domain::Content{"Once upon a time"};
  raw.sampling.temperature = 0.0f;
  raw.max_tokens = 10;
  EXPECT_FALSE(wish(std::move(raw)).text.empty());
}

TEST_F(WorkerGenerationTest, EmbeddingsHaveLengthOneAndRepeat) {
  const auto embed = [&](std::string_view text) {
    domain::GenerateRequest request_;
    request_.purpose = domain::Purpose::embed;
    request_.text = domain::Content{text};
    return wish(std::move(request_)).vector;
  };
  const auto cat = embed("a cat");
  ASSERT_FALSE(cat.empty());
  double length = 0;
  for (const auto value : cat) length += static_cast<double>(value) * static_cast<double>(value);
  EXPECT_NEAR(length, 1.0, 1e-4);
  EXPECT_EQ(cat, embed("a cat"));
  EXPECT_NE(cat, embed("a dog ran far away"));
}

}  // namespace
}  // namespace tacit::engine
