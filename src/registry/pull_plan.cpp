#include "registry/pull_plan.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "async/wait.hpp"
#include "core/text.hpp"
#include "registry/import_plan.hpp"
#include "registry/json.hpp"
#include "registry/name.hpp"
#include "registry/transfer.hpp"
#include "registry/url.hpp"
#include "store/file.hpp"

namespace tacit::registry {
namespace {

constexpr std::size_t kAnswerBytesMax = 16 * 1024 * 1024;
constexpr std::size_t kSettingsBytesMax = 1024 * 1024;

std::string without_last_slashes(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

std::string first_line(const std::filesystem::path& path) {
  const auto bytes = store::read_file(path, 4096);
  if (!bytes) return {};
  auto text = as_text(*bytes);
  text = trim_ascii(text.substr(0, text.find_first_of("\r\n")));
  return std::string{text};
}

std::string hub_token(const Getenv& variable) {
  for (const auto* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    if (auto token = variable(name)) return *std::move(token);
  }
  if (const auto path = variable("HF_TOKEN_PATH")) return first_line(*path);
  if (const auto home = variable("HF_HOME"))
    return first_line(std::filesystem::path{*home} / "token");
  if (const auto home = variable("HOME")) {
    return first_line(std::filesystem::path{*home} / ".cache/huggingface/token");
  }
  return {};
}

std::map<std::string, std::string> docker_logins(const Getenv& variable) {
  std::filesystem::path folder;
  if (const auto config = variable("DOCKER_CONFIG"))
    folder = *config;
  else if (const auto home = variable("HOME"))
    folder = std::filesystem::path{*home} / ".docker";
  std::map<std::string, std::string> logins;
  const auto bytes = store::read_file(folder / "config.json", kSettingsBytesMax);
  if (!bytes) return logins;
  const auto document = parse_json(as_text(*bytes), kSettingsBytesMax);
  const auto* object = document ? document->if_object() : nullptr;
  const auto* auths = object != nullptr ? object->if_contains("auths") : nullptr;
  if (auths == nullptr || !auths->is_object()) return logins;
  for (const auto& [host, value] : auths->get_object()) {
    const auto* login = value.if_object();
    const auto* auth = login != nullptr ? login->if_contains("auth") : nullptr;
    if (auth == nullptr || !auth->is_string() || !from_base64(auth->get_string())) continue;
    logins[std::string{std::string_view{host}}] = std::string_view{auth->get_string()};
  }
  return logins;
}

}  // namespace

SourceSettings source_settings(const Getenv& variable) {
  SourceSettings settings;
  auto endpoints = variable("HF_ENDPOINT").value_or("https://huggingface.co");
  while (!endpoints.empty()) {
    const auto comma = endpoints.find(',');
    auto one = without_last_slashes(std::string{trim_ascii(endpoints.substr(0, comma))});
    if (!origin_of(one).empty()) settings.hf_endpoints.push_back(std::move(one));
    endpoints.erase(0, comma == std::string::npos ? comma : comma + 1);
  }
  if (settings.hf_endpoints.empty()) settings.hf_endpoints.emplace_back("https://huggingface.co");
  settings.hf_token = hub_token(variable);
  settings.ollama_registry = without_last_slashes(
      variable("TACIT_OLLAMA_REGISTRY").value_or("https://registry.ollama.ai"));
  settings.oci_logins = docker_logins(variable);
  return settings;
}

Async<Planner::Answer> Planner::get_once(const std::string& url, const std::string& accept,
                                         const std::string& authorization, const std::string& range,
                                         Deadline deadline) {
  http::Headers headers;
  headers.set("Accept", accept);
  headers.set("Accept-Encoding", "identity");
  if (!range.empty()) headers.set("Range", range);
  if (!authorization.empty()) headers.set("Authorization", authorization);
  const auto limit = deadline.at_most(limits_.request_timeout);
  const std::string method = "GET";
  auto response = co_await client_.send(method, url, std::move(headers), BytesView{}, limit);
  if (!response) co_return fail(transfer_error(std::move(response).error()));
  Answer answer;
  answer.status = (*response)->head().status;
  answer.headers = (*response)->head().headers;
  answer.url = (*response)->url();
  if (!range.empty() && answer.status == 200) co_return answer;  // the whole file: not wanted here
  auto body = co_await http::read_all(**response, kAnswerBytesMax, limit);
  if (!body) co_return fail(transfer_error(std::move(body).error()));
  answer.body = *std::move(body);
  co_return answer;
}

Async<Planner::Answer> Planner::get(std::string url, std::string accept, std::string authorization,
                                    std::string range, Deadline deadline) {
  auto pause = limits_.backoff_first;
  for (unsigned failures = 0;;) {
    auto answer = co_await get_once(url, accept, authorization, range, deadline);
    const bool busy =
        answer && (answer->status == 408 || answer->status == 429 || answer->status >= 500);
    const bool failed = !answer && (answer.error().code() == Code::unavailable ||
                                    answer.error().code() == Code::deadline_exceeded);
    if (!busy && !failed) co_return answer;
    if (++failures >= limits_.attempts_max || deadline.passed(std::chrono::steady_clock::now())) {
      auto error = busy ? status_error(answer->status) : std::move(answer).error();
      if (error.code() == Code::deadline_exceeded) {
        error = {Code::unavailable, "the server sent nothing for too long"};
      }
      if (!error.subject().empty()) co_return fail(std::move(error));
      co_return fail(std::move(error).about(printable(host_of(url))));
    }
    TACIT_CO_CHECK(co_await async::sleep_until(deadline.at_most(pause).when()));
    pause = std::min(pause * 2, limits_.backoff_max);
  }
}

Async<PullPlan> Planner::http(HttpReference reference, Deadline deadline) {
  const auto path = reference.url.substr(0, reference.url.find('?'));
  TACIT_CO_TRY(auto answer, co_await get(reference.url, "*/*", "", "bytes=0-0", deadline));
  if (answer.status != 200 && answer.status != 206) {
    co_return fail(status_error(answer.status).about(printable(host_of(reference.url))));
  }
  auto size = content_range_total(answer.headers.find("content-range").value_or(""), 0, 0);
  if (answer.status == 200) size = parse_u64(answer.headers.find("content-length").value_or(""));
  if (!size || *size == 0) {
    co_return fail(Error{Code::unsupported, "the server does not say how large the file is"}.about(
        printable(host_of(reference.url))));
  }
  PlannedFile file{"weights", {}, *size, {{reference.url, ""}}};
  if (!reference.sha256.empty()) {
    TACIT_CO_TRY(file.digest, store::Digest::parse(reference.sha256));
  }
  PullPlan plan;
  plan.source = reference_text(reference);
  plan.name = name_for_file("", path.substr(path.rfind('/') + 1));
  plan.pinned = file.digest.has_value();
  plan.files.push_back(std::move(file));
  co_return plan;
}

Async<PullPlan> Planner::plan(Reference reference, Deadline deadline) {
  if (auto* hub = std::get_if<HuggingFaceReference>(&reference)) {
    co_return co_await hugging_face(std::move(*hub), deadline);
  }
  if (auto* model = std::get_if<OllamaReference>(&reference)) {
    co_return co_await ollama(std::move(*model), deadline);
  }
  if (auto* artifact = std::get_if<OciReference>(&reference)) {
    co_return co_await oci(std::move(*artifact), deadline);
  }
  if (auto* url = std::get_if<HttpReference>(&reference)) {
    co_return co_await http(std::move(*url), deadline);
  }
  co_return fail(Code::unsupported, "this kind of source is not planned over the network");
}

}  // namespace tacit::registry
