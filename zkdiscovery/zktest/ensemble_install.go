package zktest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNotInstalled is why an ensemble cannot be started on this machine: ZooKeeper or Java is missing. Its text, as returned, says what
// was looked for and what to install.
var ErrNotInstalled = errors.New("a real ZooKeeper is not installed")

const howToInstall = "on Debian or Ubuntu: apt-get install zookeeper; elsewhere: install Java, unpack a release from https://zookeeper.apache.org/releases.html and set ZOOKEEPER_HOME to its directory"

// debianJars is where Debian's packages put every Java library. zookeeper.jar there names the jars that it needs in its manifest, all
// but the one that writes the log.
const debianJars = "/usr/share/java"

// installation is a ZooKeeper that can be started.
type installation struct {
	java      string
	classPath string
}

// findInstallation finds the ZooKeeper in home; the one that is installed if home is "".
func findInstallation(home string) (installation, error) {
	classPath, err := findClassPath(home)
	if err != nil {
		return installation{}, err
	}
	java, err := findJava()
	if err != nil {
		return installation{}, err
	}
	return installation{java: java, classPath: classPath}, nil
}

func findClassPath(home string) (string, error) {
	if home != "" {
		// Releases from 3.5 on have every jar in lib, older ones ZooKeeper's own beside it; conf has the logger's settings.
		for _, pattern := range []string{"lib/zookeeper-*.jar", "zookeeper-*.jar"} {
			if found, _ := filepath.Glob(filepath.Join(home, pattern)); len(found) > 0 {
				return joinPath(filepath.Join(home, "conf"), filepath.Join(home, "lib", "*"), filepath.Join(home, "*")), nil
			}
		}
		return "", notInstalled("ZOOKEEPER_HOME is %s, which has no lib/zookeeper-*.jar", home)
	}
	jar := filepath.Join(debianJars, "zookeeper.jar")
	if _, err := os.Stat(jar); err != nil {
		return "", notInstalled("ZOOKEEPER_HOME is not set and there is no %s", jar)
	}
	return joinPath(jar, filepath.Join(debianJars, "slf4j-simple.jar")), nil
}

func findJava() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		if java, err := exec.LookPath(filepath.Join(home, "bin", "java")); err == nil {
			return java, nil
		}
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return "", notInstalled("there is no java, neither below JAVA_HOME nor on the PATH")
	}
	return java, nil
}

func notInstalled(format string, args ...any) error {
	return fmt.Errorf("zktest: %w: %s (%s)", ErrNotInstalled, fmt.Sprintf(format, args...), howToInstall)
}

func joinPath(entries ...string) string { return strings.Join(entries, string(os.PathListSeparator)) }
