/* Cards for the numbered notebooks in JupyterLab's launcher: `lpmkit lab` loads this beside JupyterLab (docs/decisions/0008).

It is what a build would make of an extension that is written in one file: a container of webpack's module federation, which JupyterLab gives its shared modules
and asks for the extension. So it needs no Node, and no kernel runs before a notebook is opened. */
(() => {
  const CARDS = [
    ["10_survey_and_check.ipynb", "lpmkit: move a partition", "Survey both ends, check, ask the firmware; the first of three notebooks"],
    ["20_move_and_watch.ipynb", "lpmkit: move and watch", "The move itself, or the one that is under way"],
    ["30_verify_and_write_up.ipynb", "lpmkit: verify and write up", "The verdict, what people add, the write-up"],
    ["40_compare_runs.ipynb", "lpmkit: compare runs", "Several runs side by side, and the moves of a site over time"],
    ["50_move_it_home.ipynb", "lpmkit: move it home", "Who is away from the frame they came from, and the way back"],
    ["00_rehearse_on_the_simulator.ipynb", "lpmkit: rehearse", "The whole move on simulated machines"],
  ];
  let shared;

  const load = async (name) => (await Object.values(shared[name])[0].get())();

  const extension = async () => {
    const { ILauncher } = await load("@jupyterlab/launcher");
    const { notebookIcon } = await load("@jupyterlab/ui-components");
    const activate = (app, launcher) => {
      CARDS.forEach(([path, label, caption], rank) => {
        const command = `lpmkit:open-${path.slice(0, 2)}`;
        const execute = () => app.commands.execute("docmanager:open", { path });
        app.commands.addCommand(command, { label, caption, icon: notebookIcon, execute });
        launcher.add({ command, category: "lpmkit", rank });
      });
    };
    return { default: { id: "lpmkit:launcher", autoStart: true, requires: [ILauncher], activate } };
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB.lpmkit = {
    init: (scope) => {
      shared = scope;
    },
    get: async () => {
      const made = await extension();
      return () => made;
    },
  };
})();
