// OpenAI's older text completions: POST /v1/completions.
// Source: OpenAI's API description (openai/openai-openapi v2.3.0), paths./completions.
#pragma once

#include <string_view>
#include <vector>

#include "api/generation.hpp"

namespace tacit::api::openai {

Result<Call> completions(std::string_view body, const Limits& limits);

class CompletionsRenderer final : public Renderer {
 public:
  struct Options {
    bool stream = false;
    bool include_usage = false;
    bool logprobs = false;
    std::uint32_t num_choices = 1;            // of all prompts together
    std::uint32_t num_choices_of_prompt = 1;  // n
    std::vector<SecretText> echoes;           // put before each prompt's answers; empty: nothing
  };
  explicit CompletionsRenderer(Options options);

  void begin(const AnswerContext& context) override { context_ = context; }
  void feed(std::uint32_t choice, const domain::Event& event) override;
  SecretText take() override { return std::exchange(out_, SecretText{}); }

 private:
  struct Choice {
    bool begun = false;
    SecretText text;
    std::vector<domain::TokenLogprob> logprobs;
    std::size_t offset = 0;  // of the next token's text
    domain::FinishReason reason = domain::FinishReason::stop;
  };
  void chunk(std::uint32_t choice, std::string_view text,
             const std::vector<domain::TokenLogprob>& logprobs, const domain::Finished* finished);
  void whole_body();

  Options options_;
  AnswerContext context_;
  SecretText out_;
  std::vector<Choice> choices_;
  std::uint32_t num_finished_ = 0;
  domain::Usage usage_;
};

}  // namespace tacit::api::openai
