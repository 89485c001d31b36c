"""What the dashboard shows: each panel's queries, unit, and what to do about what one sees."""

from live_panels import LIVE_STREAMS
from panel import REPLICAS, Panel, mean, mean_and_tail, quantile, quantiles, stat

PROBES = "/health/.*|/metrics"

# Statuses of HTTP have three digits, close codes of WebSockets four.
ANSWERED = f'stt_requests_total{{{REPLICAS},status=~"...",endpoint!~"{PROBES}"}}[$__rate_interval]'
SEEN_BY_CLIENTS = f',endpoint!~"{PROBES}"'

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Is it up? Why is it slow? Do I need more of it?",
        (
            stat(
                "Replicas ready",
                "short",
                f"sum(stt_ready{{{REPLICAS}}})",
                "Replicas that take requests. Fewer than you started: runbook, SttDown and "
                "SttNotReady.",
                limit=1,
                green_above=True,
            ),
            stat(
                "Answers that are errors",
                "percentunit",
                'max(job:stt_errors:ratio_rate5m{job=~"$job"})',
                "5xx of all answers in five minutes. Above 1 %: look at Answers by status, then "
                "at the log; runbook, SttErrors.",
                limit=0.01,
            ),
            stat(
                "95 % answered within",
                "s",
                'max(job_endpoint:stt_request_duration:p95_5m{job=~"$job",'
                'endpoint=~"/transcribe|/v1/audio/transcriptions"})',
                "Of /transcribe and OpenAI's route, the slower one, in five minutes, long files "
                "included. Too long: the row Why is it slow says where the time goes.",
                limit=10,
            ),
            stat(
                "Wait for the model",
                "s",
                f"max(sum by (job, instance) (instance_lane:stt_wait:seconds{{{REPLICAS}"
                ',lane!="bulk"}))',
                "How long the audio in front of the next request will take. Seconds: add "
                "replicas; runbook, SttSaturated.",
                limit=5,
            ),
            stat(
                "Busy",
                "percentunit",
                f"max(instance:stt_utilisation:ratio_rate1m{{{REPLICAS}}})",
                "Time in which the busiest replica computes. Above 80 % for long: add replicas "
                "before requests wait.",
                limit=0.8,
            ),
            stat(
                "Speed",
                "suffix: x real time",
                f"sum(instance:stt_speed:ratio_rate5m{{{REPLICAS}}})",
                "Seconds of audio that all replicas can work off in a second. Multiply by your "
                "target for Busy to know what they carry.",
            ),
        ),
    ),
    (
        "Traffic",
        (
            Panel(
                "Answers by status",
                "Requests per second, without probes. 4xx are the clients' mistakes, 429 and 503"
                " ask them to come back, other 5xx are ours: search the log for their request "
                "ids.",
                "reqps",
                ((f"sum by (status) (rate({ANSWERED}))", "{{status}}"),),
                width=6,
            ),
            Panel(
                "Audio transcribed",
                "Seconds of audio per second. Compare with Speed: that is what the replicas "
                "could do.",
                "suffix: s/s",
                (
                    (
                        f"sum by (instance) "
                        f"(rate(stt_audio_seconds_total{{{REPLICAS}}}[$__rate_interval]))",
                        "{{instance}}",
                    ),
                ),
                width=6,
            ),
            Panel(
                "Turned away",
                "By reason. queue_full: add replicas or raise STT_MAX_QUEUE_AUDIO_S; "
                "memory_full: STT_MAX_DECODED_AUDIO_S; deadline: STT_REQUEST_TIMEOUT_S or send "
                "long files to /jobs; too_long: STT_MAX_AUDIO_S; streams_full: replicas or "
                "STT_MAX_STREAMS; not_ready: a restart; bad_head, late_head: no HTTP, or none "
                "within 20 s.",
                "cps",
                (
                    (
                        f"sum by (reason) "
                        f"(rate(stt_rejected_total{{{REPLICAS}}}[$__rate_interval]))",
                        "{{reason}}",
                    ),
                    (
                        f"sum(rate(stt_cancelled_total{{{REPLICAS}}}[$__rate_interval]))",
                        "client left",
                    ),
                ),
                width=6,
            ),
            Panel(
                "Decoders that died",
                "Processes that ended before their file, which costs that file only, if it breaks "
                "two. crash: a file that breaks decoders, or short memory. timeout: one that takes "
                "longer than STT_DECODE_TIMEOUT_S; runbook, SttDecodersDie.",
                "cps",
                (
                    (
                        f"sum by (reason) "
                        f"(rate(stt_decoder_deaths_total{{{REPLICAS}}}[$__rate_interval]))",
                        "{{reason}}",
                    ),
                ),
                width=6,
            ),
        ),
    ),
    (
        "Why is it slow?",
        (
            Panel(
                "Request to answer",
                "Quantiles over all endpoints but probes. The gap between 50 and 99 % is "
                "queueing and long files.",
                "s",
                quantiles((0.5, 0.95, 0.99), "stt_request_duration_seconds", where=SEEN_BY_CLIENTS),
            ),
            Panel(
                "Where the time goes",
                "Mean seconds in each stage. Queue largest: add replicas. Decode: raise "
                "STT_DECODE_WORKERS. Inference: fewer STT_SESSIONS and more STT_THREADS make one"
                " request quicker. CTC: decoding=greedy is quicker and hears worse.",
                "s",
                (
                    (mean("stt_audio_decode_duration_seconds"), "decode"),
                    (mean("stt_queue_duration_seconds"), "queue"),
                    (mean("stt_inference_duration_seconds"), "inference"),
                    (mean("stt_ctc_decode_duration_seconds"), "CTC"),
                ),
            ),
            Panel(
                "Wait before inference, 95 %",
                "By lane: streams are live, requests interactive, long files and jobs bulk. "
                "Interactive slow "
                "while bulk works: lower STT_MAX_PASS_S.",
                "s",
                ((quantile(0.95, "stt_queue_duration_seconds", "lane"), "{{lane}}"),),
            ),
            Panel(
                "Real-time factor",
                "Inference seconds per second of audio, per session; lower is better. It rises "
                "when cores are shared, or batches are mostly padding.",
                "none",
                (
                    (
                        f"sum by (instance) "
                        f"(rate(stt_inference_duration_seconds_sum{{{REPLICAS}}}[$__rate_interval]))"
                        f" / sum by (instance) "
                        f"(rate(stt_batch_audio_seconds_sum{{{REPLICAS}}}[$__rate_interval]))",
                        "{{instance}}",
                    ),
                ),
            ),
            Panel(
                "Batch size",
                "Utterances in a batch. Small on a CPU, by design. Small on a GPU with a queue: "
                "raise STT_MAX_BATCH_S, STT_MAX_PADDING_RATIO or STT_MAX_WAIT_MS.",
                "short",
                mean_and_tail("stt_batch_size"),
            ),
            Panel(
                "Padding",
                "Part of each batch that is zeros. Above 10 %: lower STT_MAX_PADDING_RATIO.",
                "percentunit",
                mean_and_tail("stt_batch_padding_ratio"),
            ),
        ),
    ),
    LIVE_STREAMS,
    (
        "Do I need more of it?",
        (
            Panel(
                "Audio that waits",
                "Seconds of audio in the queue, by lane. Interactive above zero for long: add "
                "replicas. Autoscaling follows this, and open streams.",
                "s",
                (
                    (
                        f"sum by (lane) (stt_queue_audio_seconds{{{REPLICAS}}})",
                        "{{lane}}",
                    ),
                ),
            ),
            Panel(
                "Busy, by replica",
                "Part of the time in which its sessions compute. All near 100 %: add replicas. "
                "One alone: look at how requests are spread.",
                "percentunit",
                ((f"instance:stt_utilisation:ratio_rate1m{{{REPLICAS}}}", "{{instance}}"),),
            ),
            Panel(
                "Jobs",
                "That wait and run, and those that failed per hour. Queued ones that never fall:"
                " add replicas, or raise STT_PARALLEL_JOBS if short ones wait behind long ones.",
                "short",
                (
                    (f"sum by (status) (stt_jobs{{{REPLICAS}}})", "{{status}}"),
                    (
                        f'sum(increase(stt_jobs_finished_total{{{REPLICAS},outcome="failed"}}[1h]))',
                        "failed, an hour",
                    ),
                ),
            ),
        ),
    ),
    (
        "Memory and model",
        (
            Panel(
                "Host memory",
                "Resident, its peak, and what decoded audio takes of it. It levels off; if not: "
                "runbook, SttMemoryGrows.",
                "bytes",
                (
                    (f"process_resident_memory_bytes{{{REPLICAS}}}", "{{instance}} now"),
                    (f"stt_peak_memory_bytes{{{REPLICAS}}}", "{{instance}} peak"),
                    (
                        f"64000 * stt_decoded_audio_seconds{{{REPLICAS}}}",
                        "{{instance}} long files",
                    ),
                ),
            ),
            Panel(
                "GPU memory",
                "All processes on the GPU together; empty without one. Near the total: set "
                "STT_GPU_MEMORY_BYTES, lower STT_MAX_BATCH_S.",
                "bytes",
                ((f"stt_gpu_memory_bytes{{{REPLICAS}}}", "{{instance}} {{kind}}"),),
            ),
            Panel(
                "Model",
                "What each replica serves. Different rows are well during a rollout only.",
                "short",
                (
                    (
                        "count by (name, file, precision, runtime, device) "
                        f"(stt_model_info{{{REPLICAS}}})",
                        "",
                    ),
                ),
                kind="table",
            ),
        ),
    ),
)
