import type { Analysis, ProfiledRun } from "@questbus/protocol";

const ratio = (part: number | null | undefined, whole: number | null | undefined): number | null => {
  const value = part === null || part === undefined || !whole ? null : part / whole;
  return value !== null && Number.isFinite(value) && value >= 0 ? Math.round(value * 10_000) / 10_000 : null;
};

/**
 * Utilization, saturation and errors of each resource, as far as they were measured; null otherwise. `gcShare`: of the
 * profiled time. Source: Gregg, "Thinking Methodically about Performance", CACM 56 (2) 2013 (the USE method); saturation
 * is the kernel's pressure stall information ("some"), which counts for the machine, as the run had it to itself.
 */
export function useTable(run: ProfiledRun, gcShare: number | null): Analysis["use"] {
  const { usage, heap, machine } = run;
  return {
    cpu: {
      utilization: ratio(usage?.cpuMs, usage?.wallMs),
      saturation: machine.cpuStall,
      errors: null,
    },
    memory: {
      utilization: ratio(usage?.peakRssBytes, machine.memoryBytes),
      saturation: machine.memoryStall,
      errors: machine.oomKills,
    },
    disk: { utilization: machine.diskBusy, saturation: machine.diskStall, errors: null },
    gc: {
      utilization: gcShare ?? ratio(heap?.totalMs, usage?.wallMs),
      saturation: ratio(heap?.peakBytes, heap?.limitBytes),
      errors: null,
    },
  };
}
