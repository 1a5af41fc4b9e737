# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_graphtag_global_optspecs
    string join \n help version
end

function __fish_graphtag_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_graphtag_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_graphtag_using_subcommand
    set -l cmd (__fish_graphtag_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c graphtag -n "__fish_graphtag_needs_command" -l help -d 'display usage information'
complete -c graphtag -n "__fish_graphtag_needs_command" -l version -d 'print the version'
complete -c graphtag -n "__fish_graphtag_needs_command" -f -a "tag" -d 'Say what photos show'
complete -c graphtag -n "__fish_graphtag_needs_command" -f -a "run" -d 'Watch a camera and publish what it shows'
complete -c graphtag -n "__fish_graphtag_needs_command" -f -a "cameras" -d 'List the cameras of this machine, what they offer and how to name them'
complete -c graphtag -n "__fish_graphtag_needs_command" -f -a "doctor" -d 'Check this machine and a configuration, and say what to do about each problem'
complete -c graphtag -n "__fish_graphtag_needs_command" -f -a "inspect" -d 'Describe a model: labels and thresholds, origin, accuracy, and cost per layer'
complete -c graphtag -n "__fish_graphtag_needs_command" -f -a "bench" -d 'Measure what a model costs on this machine'
complete -c graphtag -n "__fish_graphtag_needs_command" -f -a "models" -d 'List the embedded models; the first is the default'
complete -c graphtag -n "__fish_graphtag_needs_command" -f -a "config" -d 'Print a commented configuration file for graphtag run'
complete -c graphtag -n "__fish_graphtag_using_subcommand tag" -l model -d 'model file; the embedded one if not given' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand tag" -l labels -d 'labels of the model\'s outputs, one a line, for a model that has none' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand tag" -l mean -d 'mean to subtract from each byte, one number or R,G,B, for a model that does not say' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand tag" -l scale -d 'factor for each byte less the mean, one number or R,G,B, for a model that does not say' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand tag" -l format -d 'text (default) or jsonl: one JSON object a photo' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand tag" -l top -d 'at most so many tags a photo' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand tag" -l threshold -d 'score that makes a tag, 0 to 1, instead of each label\'s calibrated one' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand tag" -l threads -d 'threads to run the model on (default 1)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand tag" -l help -d 'display usage information'
complete -c graphtag -n "__fish_graphtag_using_subcommand tag" -l all-scores -d 'also give the scores of all labels'
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l config -d 'configuration file; options of the command line go before it' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l source -d 'where frames come from' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l rate -d 'frames a second that are asked of the source' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l size -d 'size that is asked of a camera, WIDTHxHEIGHT' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l raw -d 'pictures without heads, from a program or standard input: rgb, yuyv, nv12 or i420, of that size' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l patience -d 'seconds without a frame after which the source is opened anew (default 3)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l model -d 'model file; the embedded one if not given' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l labels -d 'labels of the model\'s outputs, one a line, for a model that has none' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l threads -d 'threads to run the model on (default 1)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l max-fps -d 'the most inferences a second' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l motion -d 'skip inference while no part of the picture changes by more than this, of 255' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l heat-limit -d 'degrees Celsius above which the rate falls (default 75)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l crop -d 'the part of the picture that the model sees, X,Y,WIDTH,HEIGHT in shares of it' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l mask -d 'a part that the model does not see, X,Y,WIDTH,HEIGHT in shares; may be repeated' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l threshold -d 'threshold of a label instead of its calibrated one, LABEL=X; may be repeated' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l smoothing -d 'time constant of the smoothing of scores, in seconds (default 0.3; photos of a folder: 0)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l keep -d 'share of its threshold below which a present label begins to vanish (default 0.7; photos: 1)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l appear-after -d 'seconds at its threshold before a label appears (default 0)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l vanish-after -d 'seconds below what keeps it before a label vanishes (default 1; photos: 0)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l output -d 'lines of JSON on standard output: events (default), frames, or none' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l http -d 'address of the live page and the API, such as 127.0.0.1:8080' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l token-file -d 'file with the token that the page and the API ask for' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l mqtt -d 'broker to publish to, mqtt://USER@HOST:PORT, the user and the port optional; mqtts:// for TLS' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l mqtt-password-file -d 'file with the broker\'s password' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l mqtt-authority -d 'certificate authority of the broker (PEM); those of the system if not given' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l mqtt-prefix -d 'first part of every MQTT topic (default graphtag)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l webhook -d 'address to post every event to as JSON, http://HOST/PATH or https://HOST/PATH' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l webhook-secret-file -d 'file with the secret that signs what is posted (X-Hub-Signature-256)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l webhook-token-file -d 'file with the bearer token that is posted with every event' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l webhook-authority -d 'certificate authority of the webhook (PEM); those of the system if not given' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l snapshots -d 'folder for the pictures in which labels appear' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l snapshot-on -d 'label whose appearance is kept as a picture (default all); may be repeated' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l snapshot-quota -d 'megabytes that the pictures may take, beyond which the oldest go (default 500)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l snapshot-period -d 'least seconds between two pictures for the same label (default 10)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l display -d 'panel to show what is present on: fb:/dev/fb0, st7789:SPIDEV,DC,RESET, ili9341:SPIDEV,DC,RESET, ssd1306:/dev/i2c-1, or a picture file, png:FILE,WIDTHxHEIGHT' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l name -d 'name of this device, in MQTT topics, Home Assistant and names of pictures (default the host\'s name)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l help -d 'display usage information'
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l loop -d 'begin a folder or a film anew when it ends'
complete -c graphtag -n "__fish_graphtag_using_subcommand run" -l no-auth -d 'serve an address other than loopback without a token'
complete -c graphtag -n "__fish_graphtag_using_subcommand cameras" -l format -d 'text (default) or json' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand cameras" -l help -d 'display usage information'
complete -c graphtag -n "__fish_graphtag_using_subcommand doctor" -l config -d 'configuration file; without one only the machine and the embedded model are looked at' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand doctor" -l format -d 'text (default) or json' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand doctor" -l help -d 'display usage information'
complete -c graphtag -n "__fish_graphtag_using_subcommand inspect" -l format -d 'text (default) or json' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand inspect" -l help -d 'display usage information'
complete -c graphtag -n "__fish_graphtag_using_subcommand bench" -l model -d 'a model file or the name of an embedded model; the default model if not given' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand bench" -l threads -d 'threads of the engine (default 1)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand bench" -l runs -d 'how often to run (default 50)' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand bench" -l engine -d 'graphtag (default) or tract, to run quantised parts without the int8 engine' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand bench" -l format -d 'text (default) or json' -r
complete -c graphtag -n "__fish_graphtag_using_subcommand bench" -l help -d 'display usage information'
complete -c graphtag -n "__fish_graphtag_using_subcommand bench" -l profile -d 'also the time of each step of the int8 engine'
complete -c graphtag -n "__fish_graphtag_using_subcommand bench" -l pipeline -d 'also the time of each stage of a stream of 640x480 MJPEG'
complete -c graphtag -n "__fish_graphtag_using_subcommand models" -l help -d 'display usage information'
complete -c graphtag -n "__fish_graphtag_using_subcommand config" -l device -d 'one that suits a device instead of one with every key: pi-zero-2w, pi3, pi4, pi5, jetson-nano or jetson-orin-nano' -r -f -a "pi-zero-2w\t''
pi3\t''
pi4\t''
pi5\t''
jetson-nano\t''
jetson-orin-nano\t''"
complete -c graphtag -n "__fish_graphtag_using_subcommand config" -l help -d 'display usage information'
