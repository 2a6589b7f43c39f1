/* A driver library without a driver: the functions of NVML that the SDK calls, answering from a text file.
 *
 * NVML_STUB_STATE names the file, which is read again on each call, so that a test can change what a GPU says while a
 * program runs. A line is `key=value`. A key that is not there means "not supported"; `KEY.error=15` makes that call
 * fail with NVML's code 15, `gpu0.error=15` every call about GPU 0. The structs are declared here as NVIDIA's header has
 * them, so that a binding with another layout reads nonsense and the tests fail.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, VERSION_MISMATCH = 25 };
enum { MOST_GPUS = 8, MOST_MIG = 7, KEY = 128, VALUE = 256 };

typedef struct { int gpu, mig; } Device;
typedef struct { unsigned int gpu, memory; } Utilization;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned int version; int sensor; int temperature; } Temperature;
typedef struct { unsigned int pid; unsigned long long used; unsigned int instance, compute; } Process;

static Device devices[MOST_GPUS][MOST_MIG + 1];

static int look_up(const char *key, char *value) {
    const char *path = getenv("NVML_STUB_STATE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[KEY + VALUE];
    size_t length = strlen(key);
    int found = 0;
    while (file && !found && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, length) == 0 && line[length] == '=') {
            line[strcspn(line, "\n")] = 0;
            snprintf(value, VALUE, "%.*s", VALUE - 1, line + length + 1);
            found = 1;
        }
    }
    if (file) fclose(file);
    return found;
}

static int number(const char *key, long long *result) {
    char value[VALUE];
    if (!look_up(key, value)) return 0;
    *result = atoll(value);
    return 1;
}

static int failure(const char *key) {
    char error[KEY];
    long long code;
    snprintf(error, sizeof error, "%s.error", key);
    return number(error, &code) ? (int)code : SUCCESS;
}

static void name_of(const Device *device, const char *fact, char *key) {
    const char *dot = *fact ? "." : "";
    if (device->mig < 0) snprintf(key, KEY, "gpu%d%s%s", device->gpu, dot, fact);
    else snprintf(key, KEY, "gpu%d.mig%d%s%s", device->gpu, device->mig, dot, fact);
}

static int text_of(const Device *device, const char *fact, char *value) {
    char key[KEY];
    int failed;
    name_of(device, "", key);
    if ((failed = failure(key))) return failed;
    name_of(device, fact, key);
    if ((failed = failure(key))) return failed;
    return look_up(key, value) ? SUCCESS : NOT_SUPPORTED;
}

static int number_of(const Device *device, const char *fact, long long *result) {
    char value[VALUE];
    int failed = text_of(device, fact, value);
    if (!failed) *result = atoll(value);
    return failed;
}

static int unsigned_of(const Device *device, const char *fact, unsigned int *result) {
    long long value = 0;
    int failed = number_of(device, fact, &value);
    if (!failed) *result = (unsigned int)value;
    return failed;
}

static int copy(const char *text, char *buffer, unsigned int size) {
    if (strlen(text) + 1 > size) return INSUFFICIENT_SIZE;
    strcpy(buffer, text);
    return SUCCESS;
}

static Device *device_at(int gpu, int mig) {
    Device *device = &devices[gpu][mig + 1];
    device->gpu = gpu;
    device->mig = mig;
    return device;
}

int nvmlInitWithFlags(unsigned int flags) { (void)flags; return failure("init"); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the stub"; }

int nvmlSystemGetDriverVersion(char *version, unsigned int size) {
    char value[VALUE];
    return look_up("driver", value) ? copy(value, version, size) : NOT_SUPPORTED;
}

int nvmlDeviceGetCount_v2(unsigned int *count) {
    long long value = 0;
    int failed = failure("count");
    if (failed) return failed;
    number("count", &value);
    *count = (unsigned int)value;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, Device **device) {
    char value[VALUE];
    *device = device_at((int)index, -1);
    return text_of(*device, "uuid", value);
}

int nvmlDeviceGetUUID(Device *device, char *uuid, unsigned int size) {
    char value[VALUE];
    int failed = text_of(device, "uuid", value);
    return failed ? failed : copy(value, uuid, size);
}

int nvmlDeviceGetName(Device *device, char *name, unsigned int size) {
    char value[VALUE];
    int failed = text_of(device, "name", value);
    return failed ? failed : copy(value, name, size);
}

int nvmlDeviceGetPowerUsage(Device *device, unsigned int *milliwatts) {
    return unsigned_of(device, "power_mw", milliwatts);
}

int nvmlDeviceGetTotalEnergyConsumption(Device *device, unsigned long long *millijoules) {
    long long value = 0;
    int failed = number_of(device, "energy_mj", &value);
    if (!failed) *millijoules = (unsigned long long)value;
    return failed;
}

int nvmlDeviceGetUtilizationRates(Device *device, Utilization *rates) {
    int failed = unsigned_of(device, "utilization", &rates->gpu);
    rates->memory = 99;
    return failed;
}

int nvmlDeviceGetMemoryInfo(Device *device, Memory *memory) {
    long long used = 0, total = 0;
    int failed = number_of(device, "memory_used", &used);
    if (!failed) failed = number_of(device, "memory_total", &total);
    if (failed) return failed;
    memory->total = (unsigned long long)total;
    memory->used = (unsigned long long)used;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetTemperatureV(Device *device, Temperature *temperature) {
    long long value = 0;
    int failed = number_of(device, "temperature", &value);
    if (temperature->version != (sizeof(Temperature) | 1u << 24)) return VERSION_MISMATCH;
    temperature->temperature = (int)value;
    return failed;
}

int nvmlDeviceGetTemperature(Device *device, int sensor, unsigned int *temperature) {
    (void)sensor;
    return unsigned_of(device, "old_temperature", temperature);
}

int nvmlDeviceGetTotalEccErrors(Device *device, int kind, int counter, unsigned long long *count) {
    long long value = 0;
    int failed = number_of(device, kind == 0 ? "ecc_corrected" : "ecc_uncorrected", &value);
    if (counter != 0) return NOT_SUPPORTED;
    if (!failed) *count = (unsigned long long)value;
    return failed;
}

int nvmlDeviceGetRemappedRows(Device *device, unsigned int *corrected, unsigned int *uncorrected,
                              unsigned int *pending, unsigned int *failed_rows) {
    int failed = unsigned_of(device, "rows_pending", pending);
    *corrected = *uncorrected = 0;
    return failed ? failed : unsigned_of(device, "rows_failed", failed_rows);
}

int nvmlDeviceGetMigMode(Device *device, unsigned int *current, unsigned int *pending) {
    int failed = unsigned_of(device, "mig", current);
    *pending = *current;
    return failed;
}

int nvmlDeviceGetMaxMigDeviceCount(Device *device, unsigned int *count) {
    (void)device;
    *count = MOST_MIG;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(Device *device, unsigned int index, Device **instance) {
    char value[VALUE];
    *instance = device_at(device->gpu, (int)index);
    return text_of(*instance, "uuid", value) == SUCCESS ? SUCCESS : NOT_FOUND;
}

int nvmlDeviceGetComputeRunningProcesses_v3(Device *device, unsigned int *count, Process *processes) {
    char value[VALUE];
    int failed = text_of(device, "pids", value);
    unsigned int room = *count, found = 0;
    if (failed) return failed;
    for (char *token = strtok(value, ","); token; token = strtok(NULL, ","), found++)
        if (processes && found < room) processes[found] = (Process){(unsigned int)atoi(token), 1 << 20, 0, 0};
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}
