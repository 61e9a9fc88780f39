/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machine: <os>, <features>, <cpu> and <clock>. */
#include <string.h>

#include "xml/domain_priv.h"
#include "xml/domain_values.h"

static bool read_os_type(xmlNode *node, void *target, GError **error)
{
    domain_def *def = target;
    g_autofree char *type = xml_text(node);

    g_autofree char *arch = xml_attribute(node, "arch");
    g_autofree char *machine = xml_attribute(node, "machine");

    if (!type)
        return true; /* as if it was not there */
    if (strcmp(type, "hvm") != 0)
        return xml_refuse(error, node, "the OS type must be 'hvm'");
    if (arch && strcmp(arch, VOLE_ARCH) != 0)
        return xml_refuse_attribute(error, node, "arch", "machines here are " VOLE_ARCH);
    if (machine && strcmp(machine, DOMAIN_MACHINE) != 0)
        return xml_refuse_attribute(error, node, "machine", "the only machine is " DOMAIN_MACHINE);
    def->os.arch = arch ? g_steal_pointer(&arch) : g_strdup(VOLE_ARCH);
    def->os.machine = machine ? g_steal_pointer(&machine) : g_strdup(DOMAIN_MACHINE);
    return true;
}

static bool read_kernel(xmlNode *node, void *target, GError **error)
{
    return domain_read_path(node, &((domain_def *)target)->os.kernel, error);
}

static bool read_initrd(xmlNode *node, void *target, GError **error)
{
    return domain_read_path(node, &((domain_def *)target)->os.initrd, error);
}

static bool read_cmdline(xmlNode *node, void *target, GError **error)
{
    ((domain_def *)target)->os.cmdline = xml_text(node);
    return true;
}

static bool read_boot(xmlNode *node, void *target, GError **error)
{
    struct domain_os *os = &((domain_def *)target)->os;
    int device = -1;

    if (!xml_enum_attribute(node, "dev", domain_boot_values, &device, error))
        return false;
    if (device < 0)
        return xml_invalid(error, node, "missing boot device");
    if (os->boot_count == G_N_ELEMENTS(os->boot))
        return xml_invalid(error, node, "there are too many boot devices");
    os->boot[os->boot_count++] = (enum domain_boot_device)device;
    return true;
}

static const struct xml_element os_elements[] = {
    {"type", "arch machine", XML_ONCE | XML_TEXT, read_os_type},
    {"kernel", NULL, XML_ONCE | XML_TEXT, read_kernel},
    {"initrd", NULL, XML_ONCE | XML_TEXT, read_initrd},
    {"cmdline", NULL, XML_ONCE | XML_TEXT, read_cmdline},
    {"boot", "dev", XML_EMPTY, read_boot},
    {"firmware", .refused = DOMAIN_NO_FIRMWARE},
    {"loader", .refused = DOMAIN_NO_FIRMWARE},
    {"nvram", .refused = DOMAIN_NO_FIRMWARE},
    {"bios", .refused = DOMAIN_NO_FIRMWARE},
    {"bootmenu", .refused = DOMAIN_NO_FIRMWARE},
    {"smbios", .refused = "a microVM has no SMBIOS tables"},
    {"acpi", .refused = "ACPI tables cannot be added"},
    {"dtb", .refused = "a device tree cannot be given"},
    {"init", .refused = "this is for containers"},
    {},
};

bool domain_read_os(xmlNode *node, void *target, GError **error)
{
    domain_def *def = ((struct domain_parser *)target)->def;

    if (!xml_read_children(node, os_elements, def, error))
        return false;
    if (!def->os.arch) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "an os <type> must be specified");
        return false;
    }
    if (!def->os.kernel)
        return xml_refuse(error, node, "there is no <kernel>: " DOMAIN_NO_FIRMWARE);
    return true;
}

static bool read_acpi(xmlNode *node, void *target, GError **error)
{
    ((enum domain_switch *)target)[DOMAIN_FEATURE_ACPI] = DOMAIN_SWITCH_ON;
    return true;
}

static bool read_apic(xmlNode *node, void *target, GError **error)
{
    ((enum domain_switch *)target)[DOMAIN_FEATURE_APIC] = DOMAIN_SWITCH_ON;
    return true;
}

static bool read_pae(xmlNode *node, void *target, GError **error)
{
    ((enum domain_switch *)target)[DOMAIN_FEATURE_PAE] = DOMAIN_SWITCH_ON;
    return true;
}

static bool read_vmport(xmlNode *node, void *target, GError **error)
{
    int state = DOMAIN_SWITCH_ON;

    if (!xml_enum_attribute(node, "state", domain_switch_values, &state, error))
        return false;
    if (state != DOMAIN_SWITCH_OFF)
        return xml_refuse(error, node, "there is no VMware port");
    ((enum domain_switch *)target)[DOMAIN_FEATURE_VMPORT] = DOMAIN_SWITCH_OFF;
    return true;
}

#define NO_HYPERV "this is for guests that are not Linux"

static const struct xml_element feature_elements[] = {
    {"acpi", NULL, XML_ONCE | XML_EMPTY, read_acpi},
    {"apic", NULL, XML_ONCE | XML_EMPTY, read_apic},
    {"pae", NULL, XML_ONCE | XML_EMPTY, read_pae},
    {"vmport", "state", XML_ONCE | XML_EMPTY, read_vmport},
    {"hyperv", .refused = NO_HYPERV},
    {"xen", .refused = NO_HYPERV},
    {"kvm", .refused = "KVM's features cannot be chosen"},
    {"smm", .refused = DOMAIN_NO_FIRMWARE},
    {"pmu", .refused = "the performance monitor cannot be chosen"},
    {},
};

bool domain_read_features(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    return xml_read_children(node, feature_elements, parser->def->features, error);
}

static const struct xml_element cpu_elements[] = {
    {"topology", .refused = "vCPUs are sockets of one core each"},
    {"feature", .refused = "the guest's CPU is the host's; features cannot be chosen"},
    {"model", .refused = "the guest's CPU is the host's; a model cannot be chosen"},
    {"vendor", .refused = "the guest's CPU is the host's; a vendor cannot be chosen"},
    {"numa", .refused = "a microVM is one NUMA node"},
    {"cache", .refused = "the guest's CPU is the host's; its caches cannot be chosen"},
    {"maxphysaddr", .refused = "the guest's CPU is the host's; its addresses cannot be chosen"},
    {},
};

bool domain_read_cpu(xmlNode *node, void *target, GError **error)
{
    domain_def *def = ((struct domain_parser *)target)->def;
    int mode = DOMAIN_CPU_ABSENT;
    int check = DOMAIN_CPU_CHECK_ABSENT;
    int migratable = DOMAIN_SWITCH_ABSENT;

    if (!xml_enum_attribute(node, "mode", domain_cpu_values, &mode, error) ||
        !xml_enum_attribute(node, "check", domain_cpu_check_values, &check, error) ||
        !xml_enum_attribute(node, "migratable", domain_switch_values, &migratable, error) ||
        !xml_read_children(node, cpu_elements, def, error))
        return false;
    if (migratable != DOMAIN_SWITCH_ABSENT && mode != DOMAIN_CPU_HOST_PASSTHROUGH &&
        mode != DOMAIN_CPU_MAXIMUM)
        return xml_invalid(error, node,
                           "migratable is an attribute of host-passthrough and maximum");
    if (check != DOMAIN_CPU_CHECK_ABSENT && mode == DOMAIN_CPU_ABSENT)
        return xml_invalid(error, node, "check has no meaning without a mode");
    def->cpu.mode = (enum domain_cpu_mode)mode;
    def->cpu.check = (enum domain_cpu_check)check;
    def->cpu.migratable = (enum domain_switch)migratable;
    return true;
}

/* That there is no HPET may be said, being true; the timers that there are stay as KVM has them. */
static bool read_timer(xmlNode *node, void *target, GError **error)
{
    domain_def *def = target;
    g_autofree char *name = xml_attribute(node, "name");
    int present = DOMAIN_SWITCH_ON;

    if (!name || strcmp(name, "hpet") != 0)
        return xml_refuse_attribute(error, node, "name", "timers cannot be configured");
    if (!xml_enum_attribute(node, "present", domain_yes_no_values, &present, error))
        return false;
    if (present != DOMAIN_SWITCH_OFF)
        return xml_refuse_attribute(error, node, "name", "a microVM has no HPET");
    def->clock.timers[DOMAIN_TIMER_HPET] =
        (struct domain_timer){.given = true, .present = DOMAIN_SWITCH_OFF};
    return true;
}

static const struct xml_element clock_elements[] = {
    {"timer", "name present track tickpolicy frequency mode", 0, read_timer},
    {},
};

bool domain_read_clock(xmlNode *node, void *target, GError **error)
{
    domain_def *def = ((struct domain_parser *)target)->def;
    int utc;

    return xml_enum_attribute(node, "offset", domain_clock_values, &utc, error) &&
           xml_read_children(node, clock_elements, def, error);
}
