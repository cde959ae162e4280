// Binary HTTP (RFC 9292): objects with a message in `bhttp`, its `framing`, and what it says;
// `same_as` names another object of the file that says the same.
#include "seal/bhttp.hpp"

#include <algorithm>

#include "json.hpp"

namespace tacit::vectors {
namespace {

using boost::json::object;
using boost::json::value;

struct Decoded {
  bool whole = false;
  seal::BhttpRequest request;
  seal::BhttpResponse response;
  std::string content;
};

Decoded decode(seal::BhttpDecoder::Kind kind, BytesView message, std::size_t piece) {
  seal::BhttpDecoder decoder{kind};
  SecretText content;
  Decoded decoded;
  while (!message.empty()) {
    const auto n = std::min(piece, message.size());
    if (!decoder.feed(message.first(n), content)) return decoded;
    message = message.subspan(n);
  }
  decoded.whole = decoder.end().has_value();
  decoded.request = decoder.request();
  decoded.response = decoder.response();
  decoded.content = content.reveal();
  return decoded;
}

bool same_fields(const seal::BhttpFields& ours, const object& vector) {
  if (!has(vector, "headers")) return true;
  return std::ranges::equal(
      ours, vector.at("headers").as_array(), [](const auto& field, const value& listed) {
        const auto& pair = listed.as_array();
        return field.first == pair.at(0).as_string() && field.second == pair.at(1).as_string();
      });
}

bool same_text(const std::string& ours, const object& vector, std::string_view name) {
  return !has(vector, name) || ours == text(vector, name);
}

// What is wrong with `decoded`, as `vector` describes it.
std::string_view compare(const Decoded& decoded, const object& vector, bool request) {
  if (!decoded.whole) return "is refused";
  if (request) {
    if (!same_text(decoded.request.method, vector, "method")) return "method";
    if (!same_text(decoded.request.scheme, vector, "scheme")) return "scheme";
    if (!same_text(decoded.request.authority, vector, "authority")) return "authority";
    if (!same_text(decoded.request.path, vector, "path")) return "path";
    if (!same_fields(decoded.request.fields, vector)) return "headers";
  } else {
    if (has(vector, "status") &&
        static_cast<std::size_t>(decoded.response.status) != number(vector, "status")) {
      return "status";
    }
    if (!same_fields(decoded.response.fields, vector)) return "headers";
  }
  if (!same_text(decoded.content, vector, "content_utf8")) return "content";
  return same_text(decoded.content, vector, "content") ? "" : "content";
}

const object& described(const object& vector, const std::vector<const object*>& all) {
  if (!has(vector, "same_as")) return vector;
  for (const auto* other : all) {
    if (text_or(*other, "name", "") == text(vector, "same_as")) return *other;
  }
  throw std::runtime_error("same_as names nothing");
}

std::string_view check(const object& vector, const std::vector<const object*>& all) {
  const auto message = bytes(vector, "bhttp");
  const auto framing = number(vector, "framing");
  if (message.empty() || std::to_integer<std::size_t>(message[0]) != framing) return "framing";
  const bool request = framing % 2 == 0;
  const auto kind =
      request ? seal::BhttpDecoder::Kind::request : seal::BhttpDecoder::Kind::response;
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, message.size()}) {
    const auto wrong = compare(decode(kind, message, piece), described(vector, all), request);
    if (!wrong.empty()) return wrong;
  }
  return {};
}

void run(const File& file, Tally& tally) {
  const auto all = objects(file);
  std::size_t index = 0;
  for (const auto* vector : all) {
    const auto wrong = check(*vector, all);
    tally.check(wrong.empty(), text_or(*vector, "name", std::to_string(index)), wrong);
    ++index;
  }
}

bool recognises(const File& file) {
  const auto found = objects(file);
  return !found.empty() && std::ranges::all_of(found, [](const object* vector) {
    return has_all(*vector, {"bhttp", "framing"});
  });
}

}  // namespace

Kinds bhttp_kinds() { return {{"binary HTTP", recognises, run}}; }

}  // namespace tacit::vectors
