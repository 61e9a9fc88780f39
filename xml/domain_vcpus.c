/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <vcpu>, <iothreads>, <iothreadids> and <cputune>. */
#include <string.h>

#include "xml/domain_priv.h"

bool domain_read_vcpu(xmlNode *node, void *target, GError **error)
{
    static const struct xml_value placements[] = {
        {"static", 0},
        {"auto", 0, "vCPUs are not placed by NUMA advice"},
        {},
    };
    domain_def *def = ((struct domain_parser *)target)->def;
    g_autofree char *text = xml_text(node);
    g_autofree char *cpus = xml_attribute(node, "cpuset");
    uint64_t count = 1;
    int placement;

    if (text && !xml_parse_unsigned(text, G_MAXUINT, &count)) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "maximum vcpus count must be an integer");
        return false;
    }
    def->max_vcpus = (unsigned)count;
    def->vcpus = (unsigned)count;
    return xml_unsigned_attribute(node, "current", &def->vcpus, error) &&
           xml_enum_attribute(node, "placement", placements, &placement, error) &&
           (!cpus || cpuset_parse(cpus, &def->cpuset, error));
}

/* ---- I/O threads ---- */

bool domain_has_iothread(const domain_def *def, unsigned id)
{
    for (guint i = 0; i < def->iothreads->len; i++)
        if (domain_iothread_at(def, i) == id)
            return true;
    return false;
}

static bool add_iothread(domain_def *def, unsigned id)
{
    guint at = 0;

    if (domain_has_iothread(def, id))
        return false;
    while (at < def->iothreads->len && domain_iothread_at(def, at) < id)
        at++;
    g_array_insert_val(def->iothreads, at, id);
    return true;
}

bool domain_read_iothreads(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;
    uint64_t count = 0;

    if (!xml_text_number(node, G_MAXUINT, &count, error))
        return false;
    if (count > DOMAIN_MAX_IOTHREADS)
        return xml_refuse(error, node, "there are at most %d I/O threads", DOMAIN_MAX_IOTHREADS);
    parser->iothread_count = (unsigned)count;
    return true;
}

static bool read_iothread(xmlNode *node, void *target, GError **error)
{
    domain_def *def = target;
    unsigned id = 0;

    if (!xml_unsigned_attribute(node, "id", &id, error))
        return false;
    if (id == 0)
        return xml_invalid(error, node, "an I/O thread's id is a number from 1 on");
    if (def->iothreads->len == DOMAIN_MAX_IOTHREADS)
        return xml_refuse(error, node, "there are at most %d I/O threads", DOMAIN_MAX_IOTHREADS);
    if (!add_iothread(def, id)) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "duplicate iothread id '%u' found", id);
        return false;
    }
    return true;
}

static const struct xml_element iothreadids_elements[] = {
    {"iothread", "id", XML_EMPTY, read_iothread},
    {},
};

bool domain_read_iothreadids(xmlNode *node, void *target, GError **error)
{
    domain_def *def = ((struct domain_parser *)target)->def;

    if (!xml_read_children(node, iothreadids_elements, def, error))
        return false;
    def->iothread_ids_given = def->iothreads->len > 0;
    return true;
}

/* Those that were counted and not named get the lowest ids that are free, as in libvirt. */
void domain_fill_iothreads(domain_def *def, unsigned count)
{
    for (unsigned id = 1; def->iothreads->len < count; id++)
        add_iothread(def, id);
}

/* ---- <cputune> ---- */

#define SHARES_MIN 1
#define SHARES_MAX 10000 /* cgroup v2's cpu.weight */
#define PERIOD_MIN 1000
#define PERIOD_MAX 1000000
#define QUOTA_MIN  1000
#define QUOTA_MAX  INT64_C(17592186044415)

static bool out_of_range(xmlNode *node, int64_t min, int64_t max, GError **error)
{
    libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "Value of cputune '%s' must be in range [%" G_GINT64_FORMAT
                      ", %" G_GINT64_FORMAT "]",
                      (const char *)node->name, min, max);
    return false;
}

static bool read_shares(xmlNode *node, void *target, GError **error)
{
    struct domain_cputune *tune = target;
    uint64_t shares = 0;

    if (!xml_text_number(node, G_MAXUINT, &shares, error))
        return false;
    if (shares < SHARES_MIN || shares > SHARES_MAX)
        return out_of_range(node, SHARES_MIN, SHARES_MAX, error);
    tune->shares = (unsigned)shares;
    return true;
}

static const char *const quota_prefixes[] = {
    [DOMAIN_QUOTA_VCPU] = "",
    [DOMAIN_QUOTA_GLOBAL] = "global_",
    [DOMAIN_QUOTA_EMULATOR] = "emulator_",
    [DOMAIN_QUOTA_IOTHREAD] = "iothread_",
};
G_STATIC_ASSERT(G_N_ELEMENTS(quota_prefixes) == DOMAIN_QUOTA_LAST);

const char *domain_quota_prefix(enum domain_quota_kind kind)
{
    return quota_prefixes[kind];
}

/* Which of the quotas an element is about: its name up to the last word. */
static struct domain_cpu_quota *quota_of(const xmlNode *node, struct domain_cputune *tune)
{
    const char *name = (const char *)node->name;
    const char *word = strrchr(name, '_');
    gsize len = word ? (gsize)(word + 1 - name) : 0;

    for (unsigned i = 0; i < DOMAIN_QUOTA_LAST; i++) {
        if (strlen(quota_prefixes[i]) == len && strncmp(quota_prefixes[i], name, len) == 0)
            return &tune->quotas[i];
    }
    g_return_val_if_reached(&tune->quotas[DOMAIN_QUOTA_GLOBAL]); /* the table has no others */
}

static bool read_period(xmlNode *node, void *target, GError **error)
{
    uint64_t period = 0;

    if (!xml_text_number(node, G_MAXINT64, &period, error))
        return false;
    if (period < PERIOD_MIN || period > PERIOD_MAX)
        return out_of_range(node, PERIOD_MIN, PERIOD_MAX, error);
    quota_of(node, target)->period = period;
    return true;
}

static bool read_quota(xmlNode *node, void *target, GError **error)
{
    g_autofree char *text = xml_text(node);
    int64_t quota;

    if (!text || !xml_parse_signed(text, &quota))
        return xml_invalid(error, node, "not a number");
    if (quota >= 0 && (quota < QUOTA_MIN || quota > QUOTA_MAX))
        return out_of_range(node, QUOTA_MIN, QUOTA_MAX, error);
    quota_of(node, target)->quota = MAX(quota, -1);
    return true;
}

static bool read_cpuset(xmlNode *node, struct cpuset *cpus, GError **error)
{
    g_autofree char *text = xml_attribute(node, "cpuset");

    if (!text)
        return xml_invalid(error, node, "missing attribute 'cpuset'");
    return cpuset_parse(text, cpus, error);
}

static bool read_pin(xmlNode *node, const char *attribute, GPtrArray *pins, GError **error)
{
    unsigned id = 0;
    struct cpuset cpus;

    if (!xmlHasProp(node, BAD_CAST attribute))
        return xml_invalid(error, node, "missing attribute '%s'", attribute);
    if (!xml_unsigned_attribute(node, attribute, &id, error) || !read_cpuset(node, &cpus, error))
        return false;
    if (domain_pin_find(pins, id)) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "duplicate %s for %s '%u'",
                          (const char *)node->name, attribute, id);
        return false;
    }
    domain_pin_set(pins, id, &cpus);
    return true;
}

static bool read_vcpupin(xmlNode *node, void *target, GError **error)
{
    return read_pin(node, "vcpu", ((struct domain_cputune *)target)->vcpupins, error);
}

static bool read_iothreadpin(xmlNode *node, void *target, GError **error)
{
    return read_pin(node, "iothread", ((struct domain_cputune *)target)->iothreadpins, error);
}

static bool read_emulatorpin(xmlNode *node, void *target, GError **error)
{
    return read_cpuset(node, &((struct domain_cputune *)target)->emulatorpin, error);
}

#define NO_SCHEDULER "scheduling policies are not set"
#define NO_RESCTRL   "caches and memory bandwidth are not divided up"

static const struct xml_element cputune_elements[] = {
    {"shares", NULL, XML_ONCE | XML_TEXT, read_shares},
    {"global_period", NULL, XML_ONCE | XML_TEXT, read_period},
    {"global_quota", NULL, XML_ONCE | XML_TEXT, read_quota},
    {"vcpupin", "vcpu cpuset", XML_EMPTY, read_vcpupin},
    {"emulatorpin", "cpuset", XML_ONCE | XML_EMPTY, read_emulatorpin},
    {"iothreadpin", "iothread cpuset", XML_EMPTY, read_iothreadpin},
    {"period", NULL, XML_ONCE | XML_TEXT, read_period},
    {"quota", NULL, XML_ONCE | XML_TEXT, read_quota},
    {"emulator_period", NULL, XML_ONCE | XML_TEXT, read_period},
    {"emulator_quota", NULL, XML_ONCE | XML_TEXT, read_quota},
    {"iothread_period", NULL, XML_ONCE | XML_TEXT, read_period},
    {"iothread_quota", NULL, XML_ONCE | XML_TEXT, read_quota},
    {"vcpusched", .refused = NO_SCHEDULER},
    {"iothreadsched", .refused = NO_SCHEDULER},
    {"emulatorsched", .refused = NO_SCHEDULER},
    {"cachetune", .refused = NO_RESCTRL},
    {"memorytune", .refused = NO_RESCTRL},
    {},
};

bool domain_read_cputune(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    return xml_read_children(node, cputune_elements, &parser->def->cputune, error);
}

/* ---- all together ---- */

static bool check_count(const domain_def *def, GError **error)
{
    unsigned most = domain_arch_find(def->os.arch)->max_vcpus;

    if (def->vcpus == 0 || def->max_vcpus == 0) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Domain requires at least 1 vCPU");
        return false;
    }
    if (def->vcpus > def->max_vcpus) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "maximum vCPU count must not be less than current vCPU count");
        return false;
    }
    if (def->max_vcpus > most) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "Maximum CPUs greater than specified machine type limit %u", most);
        return false;
    }
    return true;
}

static bool check_topology(const domain_def *def, GError **error)
{
    const struct domain_cpu *cpu = &def->cpu;

    if (!cpu->sockets)
        return true;
    if ((uint64_t)cpu->sockets * cpu->cores * cpu->threads != def->max_vcpus) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "CPU topology doesn't match maximum vcpu count");
        return false;
    }
    if (def->vcpus != def->max_vcpus) {
        libvirt_error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "<cpu><topology>: a microVM with a topology has all of its vCPUs from the "
            "start, but current='%u' is less than %u",
            def->vcpus, def->max_vcpus);
        return false;
    }
    return true;
}

static bool check_pins(const domain_def *def, GError **error)
{
    const struct domain_cputune *tune = &def->cputune;

    for (guint i = 0; i < tune->vcpupins->len; i++) {
        unsigned id = domain_pin_at(tune->vcpupins, i)->id;

        if (id >= def->max_vcpus) {
            libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                              "<cputune><vcpupin vcpu='%u'>: vCPUs are numbered from 0 to %u", id,
                              def->max_vcpus - 1);
            return false;
        }
    }
    for (guint i = 0; i < tune->iothreadpins->len; i++) {
        unsigned id = domain_pin_at(tune->iothreadpins, i)->id;

        if (!domain_has_iothread(def, id)) {
            libvirt_error_set(error, VIR_ERR_XML_ERROR, "Cannot find 'iothread' : %u", id);
            return false;
        }
    }
    return true;
}

bool domain_check_vcpus(const domain_def *def, GError **error)
{
    return check_count(def, error) && check_topology(def, error) && check_pins(def, error);
}
