// Runs the engine without Python: on another architecture, and with sanitizers.
//
//   driver pack VARIABLES PACKED            VARIABLES: 18 arrays of float32, one after the other
//   driver embed PACKED PATCHES ROWS CALLS  several calls at once, whose rows must be equal
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

extern "C" {
int64_t vggish_packed_bytes();
int vggish_pack(const float* const* variables, float* packed, int threads);
uint64_t vggish_checksum(const void* memory, int64_t bytes);
void* vggish_open(const float* packed);
void vggish_close(void* engine);
int vggish_embed(void* engine, const float* patches, int64_t rows, int threads, float* out);
}

std::vector<float> read(const char* path, size_t skipped = 0) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::vector<float> values((static_cast<size_t>(file.tellg()) - skipped) / sizeof(float));
  file.seekg(skipped);
  file.read(reinterpret_cast<char*>(values.data()), values.size() * sizeof(float));
  return values;
}

void write(const char* path, const std::vector<float>& values) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

int pack(char** arguments) {
  const size_t convolutions[][2] = {{1, 64}, {64, 128}, {128, 256}, {256, 256}, {256, 512}, {512, 512}};
  const size_t dense[][2] = {{12288, 4096}, {4096, 4096}, {4096, 128}};
  const std::vector<float> values = read(arguments[0]);
  std::vector<const float*> variables;
  const float* next = values.data();
  const auto add = [&](size_t num_weights, size_t num_biases) {
    variables.push_back(next);
    variables.push_back(next += num_weights);
    next += num_biases;
  };
  for (const auto& shape : convolutions) add(9 * shape[0] * shape[1], shape[1]);
  for (const auto& shape : dense) add(shape[0] * shape[1], shape[1]);
  if (next != values.data() + values.size()) return 2;
  std::vector<float> packed(vggish_packed_bytes() / sizeof(float));
  if (vggish_pack(variables.data(), packed.data(), 3)) return 3;
  write(arguments[1], packed);
  return 0;
}

int embed(char** arguments) {
  const std::vector<float> packed = read(arguments[0], 4096), patches = read(arguments[1]);
  const int64_t rows = patches.size() / 15600;
  std::vector<std::vector<float>> found(std::stoi(arguments[3]), std::vector<float>(rows * 128));
  std::vector<int> status(found.size());
  void* engine = vggish_open(packed.data());
  std::vector<std::thread> calls;
  for (size_t i = 0; i < found.size(); i++)
    calls.emplace_back([&, i] {
      status[i] = vggish_embed(engine, patches.data(), rows, 3 - static_cast<int>(i % 3),
                               found[i].data());
    });
  for (auto& call : calls) call.join();
  vggish_close(engine);
  for (size_t i = 0; i < found.size(); i++)
    if (status[i] || std::memcmp(found[i].data(), found[0].data(), rows * 128 * sizeof(float)))
      return 4;
  write(arguments[2], found[0]);
  return 0;
}

int main(int count, char** arguments) {
  const std::string mode = count > 1 ? arguments[1] : "";
  if (mode == "pack" && count == 4) return pack(arguments + 2);
  if (mode == "embed" && count == 6) return embed(arguments + 2);
  return 1;
}
